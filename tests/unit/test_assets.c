#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "web/assets.h"
#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* ---- A folder for each test ---------------------------------------------------------------- */

static char folder[64];
static char error_memory[256];
static struct buf error;

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test_assets.XXXXXX");
    buf_init_fixed(&error, error_memory, sizeof error_memory);
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

static int remove_folder(void **state)
{
    (void)state;
    int rc = nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return rc < 0 && errno == ENOENT ? 0 : rc;
}

static const char *path_of(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, struct str content)
{
    FILE *f = fopen(path_of(name), "w");
    assert_non_null(f);
    assert_int_equal(fwrite(content.ptr, 1, content.len, f), content.len);
    assert_int_equal(fclose(f), 0);
}

static struct assets *load(void)
{
    struct assets *assets = assets_load(folder, &error);
    if (!assets)
        fail_msg("%.*s", STR_ARG(buf_str(&error)));
    return assets;
}

/* ---- Tests --------------------------------------------------------------------------------- */

static void serves_what_it_knows(void **state)
{
    (void)state;
    static const struct {
        const char *name, *type; /* NULL: not served */
    } row[] = {
        {"index.html",  "text/html; charset=utf-8"      },
        {"style.css",   "text/css; charset=utf-8"       },
        {"app.js",      "text/javascript; charset=utf-8"},
        {"favicon.svg", "image/svg+xml"                 },
        {"a.png",       "image/png"                     },
        {"robots.txt",  "text/plain; charset=utf-8"     },
        {"a.json",      "application/json"              },
        {"UPPER.JS",    "text/javascript; charset=utf-8"},
        {"a.min.js",    "text/javascript; charset=utf-8"},
        {"a b%20c.txt", "text/plain; charset=utf-8"     },
        {".hidden.txt", NULL                            },
        {"app.js.map",  NULL                            },
        {"app.js~",     NULL                            },
        {"server.key",  NULL                            },
        {"README",      NULL                            },
        {"htmlindex",   NULL                            },
    };
    for (size_t i = 0; i < COUNT(row); i++)
        write_file(row[i].name, str_from(row[i].name));
    assert_int_equal(mkdir(path_of("folder"), 0700), 0);
    write_file("folder/below.js", STR("x"));
    struct assets *assets = load();
    for (size_t i = 0; i < COUNT(row); i++) {
        char path[64];
        snprintf(path, sizeof path, "/%s", row[i].name);
        const struct asset *asset = assets_find(assets, str_from(path));
        if (!row[i].type != !asset)
            fail_msg("%s", row[i].name);
        if (!asset)
            continue;
        assert_string_equal(asset->content_type, row[i].type);
        assert_true(str_eq(asset->content, str_from(row[i].name)));
    }
    assert_ptr_equal(assets_find(assets, STR("/")), assets_find(assets, STR("/index.html")));

    const struct str nothing[] = {
        STR(""),
        STR("index.html"),
        STR("//index.html"),
        STR("/./index.html"),
        STR("/index.html/"),
        STR("/index.html\0"),
        STR("/index.html "),
        STR("/INDEX.HTML"),
        STR("/index"),
        STR("/folder"),
        STR("/folder/"),
        STR("/folder/below.js"),
        STR("/../app.js"),
        STR("/%61pp.js"),
        STR("/app.js%00"),
    };
    for (size_t i = 0; i < COUNT(nothing); i++)
        if (assets_find(assets, nothing[i]))
            fail_msg("row %zu: %.*s", i, STR_ARG(nothing[i]));
    assets_free(assets);
    assets_free(NULL);
}

static void etags_follow_the_content(void **state)
{
    (void)state;
    write_file("index.html", STR("a"));
    write_file("same.html", STR("a"));
    write_file("other.html", STR("b"));
    write_file("empty.html", STR(""));
    write_file("binary.png", STR("\0\xff\r\n\0"));
    struct assets *assets = load();
    const struct asset *index = assets_find(assets, STR("/")),
                       *same = assets_find(assets, STR("/same.html")),
                       *other = assets_find(assets, STR("/other.html")),
                       *empty = assets_find(assets, STR("/empty.html")),
                       *binary = assets_find(assets, STR("/binary.png"));
    assert_string_equal(index->etag, same->etag);
    assert_string_not_equal(index->etag, other->etag);
    assert_string_not_equal(index->etag, empty->etag);
    assert_int_equal(strlen(index->etag), 18);
    assert_int_equal(index->etag[0], '"');
    assert_int_equal(index->etag[17], '"');
    assert_int_equal(empty->content.len, 0);
    assert_true(str_eq(binary->content, STR("\0\xff\r\n\0")));
    assets_free(assets);
}

static void make_nothing(void)
{
}

static void make_page_only_below(void)
{
    assert_int_equal(mkdir(path_of("www"), 0700), 0);
    write_file("www/index.html", STR("x"));
}

static void make_no_folder(void)
{
    assert_int_equal(rmdir(folder), 0);
}

static void make_a_file(void)
{
    make_no_folder();
    FILE *f = fopen(folder, "w");
    assert_non_null(f);
    fclose(f);
}

static void make_too_many(void)
{
    write_file("index.html", STR("x"));
    for (unsigned i = 0; i < 64; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u.js", i);
        write_file(name, STR("x"));
    }
}

static void make_too_long(void)
{
    write_file("index.html", STR("x"));
    assert_int_equal(truncate(path_of("index.html"), (8 << 20) + 1), 0);
}

static void make_pipe(void)
{
    write_file("index.html", STR("x"));
    assert_int_equal(mkfifo(path_of("a.js"), 0600), 0);
}

static void make_dangling(void)
{
    write_file("index.html", STR("x"));
    assert_int_equal(symlink("nowhere", path_of("a.js")), 0);
}

static void says_why_not(void **state)
{
    static const struct {
        void (*make)(void);
        const char *says;
    } row[] = {
        {make_nothing,         "no index.html"            },
        {make_page_only_below, "no index.html"            },
        {make_no_folder,       "No such file or directory"},
        {make_a_file,          "Not a directory"          },
        {make_too_many,        "more than 64 files"       },
        {make_too_long,        "index.html: "             },
        {make_pipe,            "a.js: "                   },
        {make_dangling,        "a.js: "                   },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        assert_int_equal(make_folder(state), 0);
        row[i].make();
        assert_null(assets_load(folder, &error));
        buf_put_char(&error, 0);
        if (error.error || !strstr(error.data, row[i].says) || !strstr(error.data, folder))
            fail_msg("row %zu: %s", i, error.data);
        assert_int_equal(remove_folder(state), 0);
    }
}

static void the_most_that_fits(void **state)
{
    (void)state;
    make_too_many();
    assert_int_equal(unlink(path_of("7.js")), 0);
    assert_int_equal(truncate(path_of("8.js"), 8 << 20), 0);
    struct assets *assets = load();
    assert_int_equal(assets_find(assets, STR("/8.js"))->content.len, 8 << 20);
    assets_free(assets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(serves_what_it_knows, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(etags_follow_the_content, make_folder, remove_folder),
        cmocka_unit_test(says_why_not),
        cmocka_unit_test_setup_teardown(the_most_that_fits, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
