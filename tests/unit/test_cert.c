#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "net/cert_internal.h"
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <mbedtls/ecp.h>
#include <mbedtls/oid.h>
#include <mbedtls_compat.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PEM_MAX = 4096, TEXT_MAX = 512, DAY_S = 86400 };

/* ---- Files that tests work with ----------------------------------------------------------------
 */

static char folder[] = "/tmp/aorta-cert-XXXXXX";

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void read_file(const char *name, char text[PEM_MAX])
{
    FILE *f = fopen(name, "r");
    assert_non_null(f);
    text[fread(text, 1, PEM_MAX - 1, f)] = 0;
    fclose(f);
}

static size_t count_files(const char *in)
{
    size_t count = 0;
    DIR *dir = opendir(in);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void remove_all(const char *in)
{
    DIR *dir = opendir(in);
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
        char name[TEXT_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(name, sizeof name, "%s/%s", in, entry->d_name);
        if (entry->d_type == DT_DIR)
            remove_all(name);
        else
            unlink(name);
    }
    if (dir)
        closedir(dir);
    rmdir(in);
}

static int enter_folder(void **state)
{
    (void)state;
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6); /* for mkdtemp() to choose again */
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
    (void)state;
    int r = chdir("/");
    remove_all(folder);
    return r;
}

/* A pair that began and ends so many days from now. */
static void write_pair(const char *cert_file, const char *key_file, int from_days, int to_days)
{
    struct cert_random random;
    mbedtls_pk_context key;
    mbedtls_x509write_cert crt;
    char pem[PEM_MAX], from[16], to[16];
    unsigned char serial[] = {1};
    time_t now = time(NULL), from_s = now + (time_t)from_days * DAY_S;
    time_t to_s = now + (time_t)to_days * DAY_S;
    struct tm tm;
    strftime(from, sizeof from, "%Y%m%d%H%M%S", gmtime_r(&from_s, &tm));
    strftime(to, sizeof to, "%Y%m%d%H%M%S", gmtime_r(&to_s, &tm));

    mbedtls_pk_init(&key);
    mbedtls_x509write_crt_init(&crt);
    assert_int_equal(cert_random_init(&random), 0);
    assert_int_equal(mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)), 0);
    assert_int_equal(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key),
                                         mbedtls_ctr_drbg_random, &random.drbg),
                     0);
    mbedtls_x509write_crt_set_md_alg(&crt, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&crt, &key);
    mbedtls_x509write_crt_set_issuer_key(&crt, &key);
    assert_int_equal(mbedtls_x509write_crt_set_subject_name(&crt, "CN=test"), 0);
    assert_int_equal(mbedtls_x509write_crt_set_issuer_name(&crt, "CN=test"), 0);
    assert_int_equal(mbedtls_x509write_crt_set_validity(&crt, from, to), 0);
    assert_int_equal(compat_crt_set_serial(&crt, serial, sizeof serial), 0);
    assert_int_equal(mbedtls_x509write_crt_pem(&crt, (unsigned char *)pem, sizeof pem,
                                               mbedtls_ctr_drbg_random, &random.drbg),
                     0);
    write_file(cert_file, pem);
    assert_int_equal(mbedtls_pk_write_key_pem(&key, (unsigned char *)pem, sizeof pem), 0);
    write_file(key_file, pem);
    mbedtls_x509write_crt_free(&crt);
    mbedtls_pk_free(&key);
    cert_random_fini(&random);
}

/* ---- Making
 * -------------------------------------------------------------------------------------- */

static int make(const char *cert_file, const char *key_file, char said[TEXT_MAX])
{
    struct buf error;
    buf_init_fixed(&error, said, TEXT_MAX - 1);
    int r = cert_make_self_signed(cert_file, key_file, &error);
    said[error.len] = 0;
    return r;
}

static int check(const char *cert_file, const char *key_file, char said[TEXT_MAX])
{
    struct buf error;
    buf_init_fixed(&error, said, TEXT_MAX - 1);
    int r = cert_check_pair(cert_file, key_file, &error);
    said[error.len] = 0;
    return r;
}

static void makes_a_usable_pair(void **state)
{
    (void)state;
    char said[TEXT_MAX];
    struct stat about;
    assert_int_equal(make("a/b/server.crt", "a/keys/server.key", said), 0);
    assert_string_equal(said, "");
    assert_int_equal(check("a/b/server.crt", "a/keys/server.key", said), 0);
    assert_string_equal(said, "");
    assert_int_equal(stat("a/keys/server.key", &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    assert_int_equal(stat("a/b/server.crt", &about), 0);
    assert_int_equal(about.st_mode & 07777, 0644);
    assert_int_equal(count_files("a/b"), 1); /* nothing is left of the making */
    assert_int_equal(count_files("a/keys"), 1);
}

static int64_t days_of(const mbedtls_x509_time *at)
{
    struct tm tm = {.tm_year = at->year - 1900, .tm_mon = at->mon - 1, .tm_mday = at->day};
    return timegm(&tm) / DAY_S;
}

static void describes_a_server(void **state)
{
    (void)state;
    char said[TEXT_MAX], name[TEXT_MAX];
    mbedtls_x509_crt crt;
    assert_int_equal(make("c.crt", "c.key", said), 0);
    mbedtls_x509_crt_init(&crt);
    assert_int_equal(mbedtls_x509_crt_parse_file(&crt, "c.crt"), 0);
    assert_int_equal(crt.version, 3);
    assert_int_equal(mbedtls_pk_get_bitlen(&crt.pk), 256);
    assert_int_equal(crt.serial.len, 16);
    assert_true(mbedtls_x509_dn_gets(name, sizeof name, &crt.subject) > 0);
    assert_string_equal(name, "CN=aorta");
    assert_int_equal(days_of(&crt.valid_to) - days_of(&crt.valid_from), CERT_DAYS);
    int64_t today = time(NULL) / DAY_S;
    assert_in_range(today - days_of(&crt.valid_from), 1, 2);
    assert_int_equal(mbedtls_x509_crt_check_key_usage(&crt, MBEDTLS_X509_KU_DIGITAL_SIGNATURE), 0);
    assert_int_not_equal(mbedtls_x509_crt_check_key_usage(&crt, MBEDTLS_X509_KU_KEY_CERT_SIGN), 0);
    assert_int_equal(mbedtls_x509_crt_check_extended_key_usage(
                         &crt, MBEDTLS_OID_SERVER_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)),
                     0);
    bool has_localhost = false;
    for (mbedtls_x509_sequence *alt = &crt.subject_alt_names; alt; alt = alt->next)
        has_localhost |=
            str_eq((struct str){(const char *)alt->buf.p, alt->buf.len}, STR("localhost"));
    assert_true(has_localhost);
    mbedtls_x509_crt_free(&crt);
}

static void names_this_host_where_it_has_a_name(void **state)
{
    (void)state;
    static const char alone[] = "3023"
                                "82096c6f63616c686f7374"
                                "87047f000001"
                                "871000000000000000000000000000000001";
    static const struct {
        const char *host;
        bool is_named;
    } row[] = {
        {"edge",                                                             true },
        {"edge-1.example.com",                                               true },
        {"63-letters-are-the-most-that-a-label-of-a-domain-name-may-have-1", false},
        {"",                                                                 false},
        {"localhost",                                                        false},
        {"LOCALHOST",                                                        false},
        {"under_score",                                                      false},
        {"-edge",                                                            false},
        {"edge-",                                                            false},
        {"a..b",                                                             false},
        {"a.",                                                               false},
        {"192.0.2.1",                                                        false},
        {"caf\xc3\xa9",                                                      false},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char der[200], hex[500] = "";
        struct buf out, text;
        buf_init_fixed(&out, der, sizeof der);
        buf_init_fixed(&text, hex, sizeof hex);
        cert_put_alt_names(&out, str_from(row[i].host));
        assert_int_equal(out.error, 0);
        assert_int_equal(out.len, 2 + (size_t)der[1]);
        buf_put_hex(&text, (const uint8_t *)der, out.len);
        if (str_eq(buf_str(&text), STR_NONE) ||
            str_eq(buf_str(&text), str_from(alone)) == row[i].is_named)
            fail_msg("\"%s\": %.*s", row[i].host, STR_ARG(buf_str(&text)));
        if (row[i].is_named)
            assert_int_equal(out.len, sizeof alone / 2 + 2 + strlen(row[i].host));
    }
}

static void overwrites_nothing(void **state)
{
    (void)state;
    char said[TEXT_MAX], before[PEM_MAX], after[PEM_MAX];
    assert_int_equal(make("c.crt", "c.key", said), 0);
    read_file("c.key", before);
    assert_int_equal(make("c.crt", "c.key", said), 0); /* both are there: fine */
    read_file("c.key", after);
    assert_string_equal(before, after);

    unlink("c.crt");
    assert_int_equal(make("c.crt", "c.key", said), -ENOENT);
    assert_string_equal(said, "c.crt is missing, while c.key is there: put it back, or remove the "
                              "other one to have a new pair made");
    read_file("c.key", after);
    assert_string_equal(before, after);

    rename("c.key", "c.crt");
    assert_int_equal(make("c.crt", "c.key", said), -ENOENT);
    assert_string_equal(said, "c.key is missing, while c.crt is there: put it back, or remove the "
                              "other one to have a new pair made");
    assert_int_equal(count_files("."), 1);
}

static void says_why_it_cannot_write(void **state)
{
    (void)state;
    char said[TEXT_MAX];
    write_file("file", "");
    assert_int_equal(make("file/c.crt", "c.key", said), -EEXIST);
    assert_string_equal(said, "file: the folder cannot be made: File exists");
    assert_int_equal(symlink("nowhere", "c.crt"), 0);
    assert_int_equal(make("c.crt", "c.key", said), -EEXIST);
    assert_string_equal(said, "c.crt: cannot be made: File exists");
    assert_int_equal(count_files("."), 2); /* and the key that was there already is gone again */
}

/* However many start at once: all find the same pair. */
static void survives_a_race(void **state)
{
    (void)state;
    enum { PROCESSES = 6 };
    char said[TEXT_MAX];
    for (int i = 0; i < PROCESSES; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(make("new/c.crt", "new/c.key", said) == 0 &&
                          check("new/c.crt", "new/c.key", said) == 0
                      ? 0
                      : 1);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(check("new/c.crt", "new/c.key", said), 0);
    assert_int_equal(count_files("new"), 2);
}

/* ---- Checking
 * ------------------------------------------------------------------------------------ */

static void says_what_is_wrong(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char *cert_file, *key_file;
        const char *said; /* NULL: fine. How the sentence begins */
    } row[] = {
        {"good.crt", "good.key", NULL},
        {"both.pem", "both.pem", NULL},
        {"chain.crt", "good.key", NULL},
        {"none.crt", "good.key", "none.crt: cannot be opened: No such file or directory"},
        {"good.crt", "none.key", "none.key: cannot be opened: No such file or directory"},
        {".", "good.key", ".: cannot be read: Is a directory"},
        {"large.pem", "good.key", "large.pem: cannot be read: File too large"},
        {"empty.pem", "good.key",
         "empty.pem: is not PEM: no line reads -----BEGIN CERTIFICATE-----"},
        {"good.crt", "empty.pem",
         "empty.pem: is not PEM: no line reads -----BEGIN PRIVATE KEY-----"},
        {"good.key", "good.crt",
         "good.key: holds a private key where the certificate belongs; are tls.cert and tls.key "
         "swapped?"},
        {"good.crt", "good.crt",
         "good.crt: holds a certificate where its private key belongs; are tls.cert and tls.key "
         "swapped?"},
        {"old.crt", "old.key", "old.crt: the certificate expired on 20"},
        {"early.crt", "early.key", "early.crt: the certificate is not valid before 20"},
        {"good.crt", "old.key",
         "old.key: the private key does not belong to the certificate in good.crt"},
        {"good.crt", "locked.key",
         "locked.key: the private key is encrypted; store it without a passphrase"},
        {"good.crt", "locked-rsa.key",
         "locked-rsa.key: the private key is encrypted; store it without a passphrase"},
        {"broken.crt", "good.key", "broken.crt: the certificate cannot be understood: "},
        {"good.crt", "broken.key", "broken.key: the private key cannot be understood: "},
        {"half.crt", "good.key", "half.crt: 1 of the certificates in it cannot be understood"},
    };
    /* clang-format on */
    static char large[300 * 1024];
    char cert[PEM_MAX], key[PEM_MAX], old[PEM_MAX], text[3 * PEM_MAX], said[TEXT_MAX];
    memset(large, 'x', sizeof large - 1);
    write_pair("good.crt", "good.key", -1, 1);
    write_pair("old.crt", "old.key", -3, -1);
    write_pair("early.crt", "early.key", 1, 3);
    read_file("good.crt", cert);
    read_file("good.key", key);
    read_file("old.crt", old);
    snprintf(text, sizeof text, "%s%s", key, cert);
    write_file("both.pem", text);
    snprintf(text, sizeof text, "%s%s", cert, old);
    write_file("chain.crt", text); /* only its first one counts */
    write_file("empty.pem", "");
    write_file("large.pem", large);
    write_file("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n"
                             "-----END ENCRYPTED PRIVATE KEY-----\n");
    write_file("locked-rsa.key", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
                                 "DEK-Info: AES-128-CBC,00\n\nMIIB\n"
                                 "-----END RSA PRIVATE KEY-----\n");
    write_file("broken.key", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n");
    write_file("broken.crt", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    snprintf(text, sizeof text, "%s%s", cert,
             "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    write_file("half.crt", text);

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        int r = check(row[i].cert_file, row[i].key_file, said);
        bool is_as_expected =
            row[i].said ? r == -EINVAL && strncmp(said, row[i].said, strlen(row[i].said)) == 0
                        : r == 0 && said[0] == 0;
        if (!is_as_expected)
            fail_msg("row %zu: %d, \"%s\"", i, r, said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(makes_a_usable_pair, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(describes_a_server, enter_folder, leave_folder),
        cmocka_unit_test(names_this_host_where_it_has_a_name),
        cmocka_unit_test_setup_teardown(overwrites_nothing, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(says_why_it_cannot_write, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(survives_a_race, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(says_what_is_wrong, enter_folder, leave_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
