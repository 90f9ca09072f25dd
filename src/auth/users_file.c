#include "digest_internal.h"
#include "hex_internal.h"
#include "users_internal.h"
#include <aorta/json_text.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <malloc.h>
#include <mbedtls_compat.h>
#include <stdlib.h>

enum {
    MAX_FILE_BYTES = 256 * 1024 * 1024,
    MAX_LISTED = 100, /* each error is located by a walk through the file */
    MAX_SHOWN_NAME = 120,
    MAX_KEY = 1024,
    MAX_NAME = 2 * MAX_KEY, /* a key as a URI or in another spelling */
};

struct user {
    uint32_t name_at, name_len; /* canonical AOR in `names` */
    uint32_t first_set;
    uint8_t set_count;  /* by spelling: 1 (from an ha1: serves all), 2 (PLAIN, AT_REALM) or 4 */
    uint8_t algorithms; /* bit (1 << enum digest_algorithm): has that HA1 */
};

struct users {
    struct user *user;
    size_t count;
    struct digest_ha1s *set;
    size_t set_count, set_cap;
    struct buf names;
    uint32_t *slot; /* open addressing: index into `user` + 1; 0: free */
    size_t slot_mask;
};

/* ---- Looking up ---------------------------------------------------------------------------- */

static struct str user_name(const struct users *users, const struct user *user)
{
    return (struct str){users->names.data + user->name_at, user->name_len};
}

/* The slot of `aor`, or the free one where it belongs: the table is never more than half full. */
static uint32_t *find_slot(const struct users *users, struct str aor)
{
    size_t i = str_hash(aor) & users->slot_mask;
    while (users->slot[i] != 0 && !str_eq(user_name(users, &users->user[users->slot[i] - 1]), aor))
        i = (i + 1) & users->slot_mask;
    return &users->slot[i];
}

enum users_answer users_find_ha1(const struct users *users, struct str aor, unsigned spelling,
                                 enum digest_algorithm algorithm, const uint8_t **ha1)
{
    if (users == NULL)
        return USERS_UNKNOWN;
    uint32_t slot = *find_slot(users, aor);
    if (slot == 0)
        return USERS_UNKNOWN;
    const struct user *user = &users->user[slot - 1];
    if ((user->algorithms & 1u << algorithm) == 0)
        return USERS_NO_HA1;
    size_t set = user->first_set + spelling % user->set_count;
    *ha1 = digest_ha1_of(&users->set[set], algorithm);
    return USERS_FOUND;
}

char users_take_char(struct str *text)
{
    const char *at = text->ptr;
    int high = text->len >= 3 && *at == '%' ? str_hex_value(at[1]) : -1;
    int low = high >= 0 ? str_hex_value(at[2]) : -1;
    *text = str_slice(*text, low >= 0 ? 3 : 1, text->len);
    return low >= 0 ? (char)(high << 4 | low) : *at;
}

size_t users_count(const struct users *users)
{
    return users->count;
}

/* ---- Making and freeing -------------------------------------------------------------------- */

void users_free(struct users *users)
{
    if (users == NULL)
        return;
    if (users->set != NULL)
        mbedtls_platform_zeroize(users->set, users->set_cap * sizeof *users->set);
    free(users->set);
    free(users->user);
    free(users->slot);
    buf_fini(&users->names);
    free(users);
}

/* Room for `count` users with `set_cap` sets in all: nothing moves later, so no HA1 is left behind
 * in memory that was given back. */
static struct users *users_new(size_t count, size_t set_cap)
{
    struct users *users = calloc(1, sizeof *users);
    if (users == NULL)
        return NULL;
    buf_init_heap(&users->names, MAX_FILE_BYTES);
    size_t slots = 2;
    while (slots < 2 * count)
        slots *= 2;
    users->slot_mask = slots - 1;
    users->set_cap = set_cap;
    users->slot = calloc(slots, sizeof *users->slot);
    users->user = calloc(count + 1, sizeof *users->user);
    users->set = calloc(set_cap + 1, sizeof *users->set);
    if (users->slot != NULL && users->user != NULL && users->set != NULL)
        return users;
    users_free(users);
    return NULL;
}

/* ---- What a user's object may hold --------------------------------------------------------- */

struct secrets {
    const struct cJSON *password; /* or NULL */
    const struct cJSON *ha1[DIGEST_ALGORITHMS];
};

static const struct {
    const char *key;
    int algorithm; /* -1: the password */
} members[] = {
    {"password",       -1                },
    {"ha1",            DIGEST_MD5        },
    {"ha1-sha256",     DIGEST_SHA_256    },
    {"ha1-sha512-256", DIGEST_SHA_512_256},
};

struct loader {
    const char *file_name;
    struct str json;
    struct users *users;
    struct buf *errors;
    size_t error_count;
    int failure; /* not the file's fault: -ENOMEM, -EIO */
};

/* Keys may hold anything; an error stays one line. */
static void put_name(struct buf *b, const char *name)
{
    size_t n = 0;
    for (; name[n] != '\0' && n < MAX_SHOWN_NAME; n++)
        buf_put_char(b, (unsigned char)name[n] < ' ' || name[n] == 0x7f ? '?' : name[n]);
    if (name[n] != '\0')
        buf_put_text(b, "...");
}

/* About the user's key, or its `member` when that is not NULL. */
static void complain(struct loader *l, const struct cJSON *user, const struct cJSON *member,
                     bool of_value, const char *what)
{
    if (l->error_count++ >= MAX_LISTED)
        return;
    const char *path[] = {user->string, member ? member->string : NULL};
    struct json_position at = json_text_locate(l->json, path, member ? 2 : 1, of_value);
    buf_printf(l->errors, "%s:%u:%u: ", l->file_name, at.line, at.column);
    put_name(l->errors, user->string);
    buf_printf(l->errors, ": %s\n", what);
}

static void read_member(struct loader *l, const struct cJSON *user, const struct cJSON *member,
                        struct secrets *out)
{
    size_t i = 0;
    while (i < sizeof members / sizeof *members && strcmp(member->string, members[i].key) != 0)
        i++;
    if (i == sizeof members / sizeof *members) {
        complain(l, user, member, false,
                 "unknown member; password, ha1, ha1-sha256 and ha1-sha512-256 are known");
        return;
    }
    if (!cJSON_IsString(member)) {
        complain(l, user, member, true, "must be a string");
        return;
    }
    struct str text = str_from(member->valuestring);
    uint8_t bytes[DIGEST_MAX_BYTES];
    if (members[i].algorithm < 0) {
        if (str_is_empty(text))
            complain(l, user, member, true, "an empty password");
        out->password = member;
        return;
    }
    enum digest_algorithm algorithm = (enum digest_algorithm)members[i].algorithm;
    if (!hex_read(text, bytes, digest_size(algorithm)))
        complain(l, user, member, true,
                 algorithm == DIGEST_MD5 ? "must be 32 hex digits" : "must be 64 hex digits");
    mbedtls_platform_zeroize(bytes, sizeof bytes);
    out->ha1[algorithm] = member;
}

/* ---- One user ------------------------------------------------------------------------------ */

/* The key as an AOR at the end of `names`; cut off again by the caller if it is no good. */
static const char *put_aor(struct buf *names, const char *key)
{
    struct str text = str_from(key);
    if (str_find(text, '@') == text.len)
        return "must be user@domain";
    if (text.len > MAX_KEY)
        return "is longer than 1024 bytes";
    char memory[MAX_NAME];
    struct buf b;
    buf_init_fixed(&b, memory, sizeof memory);
    buf_put_text(&b, "sip:");
    buf_put_str(&b, text);
    struct sip_uri uri;
    if (sip_uri_parse(buf_str(&b), &uri) != SIP_URI_OK || str_is_empty(uri.user))
        return "is no user@domain that SIP allows; escape what is special as %hex";
    if (uri.port != 0 || !str_is_empty(uri.password) || !str_is_empty(uri.params) ||
        !str_is_empty(uri.headers))
        return "must be user@domain without scheme, password, port and parameters";
    return sip_uri_write_aor(&uri, names) == 0 ? NULL : "must be user@domain";
}

/* How `aor` is spelt in a username (see the SPELLING bits). */
static void put_spelling(struct buf *b, struct str aor, unsigned spelling)
{
    size_t at = str_find(aor, '@');
    struct str user = str_slice(aor, 0, at);
    while (!str_is_empty(user) && (spelling & SPELLING_UNESCAPED) != 0)
        buf_put_char(b, users_take_char(&user));
    buf_put_str(b, user);
    if ((spelling & SPELLING_AT_REALM) != 0)
        buf_put_str(b, str_slice(aor, at, aor.len));
}

static int hash_password(struct str aor, struct str password, unsigned spelling,
                         struct digest_ha1s *set)
{
    char memory[MAX_NAME];
    struct buf name;
    buf_init_fixed(&name, memory, sizeof memory);
    put_spelling(&name, aor, spelling);
    int rc = name.error;
    struct str realm = str_slice(aor, str_find(aor, '@') + 1, aor.len);
    for (int a = 0; a < DIGEST_ALGORITHMS && rc == 0; a++)
        rc = digest_ha1((enum digest_algorithm)a, buf_str(&name), realm, password,
                        digest_ha1_of(set, (enum digest_algorithm)a));
    return rc;
}

static bool has_escapes(struct str text)
{
    return str_find(text, '%') < text.len;
}

static int add_from_password(struct users *users, struct user *user, struct str password)
{
    struct str aor = user_name(users, user);
    user->set_count = has_escapes(aor) ? SPELLINGS : SPELLINGS / 2;
    user->algorithms = (1u << DIGEST_ALGORITHMS) - 1;
    int rc = 0;
    for (unsigned spelling = 0; spelling < user->set_count && rc == 0; spelling++)
        rc = hash_password(aor, password, spelling, &users->set[user->first_set + spelling]);
    return rc;
}

static void add_from_ha1(struct users *users, struct user *user, const struct secrets *secrets)
{
    user->set_count = 1;
    for (int a = 0; a < DIGEST_ALGORITHMS; a++) {
        enum digest_algorithm algorithm = (enum digest_algorithm)a;
        if (secrets->ha1[a] == NULL)
            continue;
        hex_read(str_from(secrets->ha1[a]->valuestring),
                 digest_ha1_of(&users->set[user->first_set], algorithm), digest_size(algorithm));
        user->algorithms |= (uint8_t)(1u << a);
    }
}

static void add_user(struct loader *l, struct user user, const struct secrets *secrets)
{
    struct users *users = l->users;
    user.first_set = (uint32_t)users->set_count;
    if (secrets->password != NULL) {
        int rc = add_from_password(users, &user, str_from(secrets->password->valuestring));
        if (rc != 0)
            l->failure = rc;
    } else {
        add_from_ha1(users, &user, secrets);
    }
    uint32_t *slot = find_slot(users, user_name(users, &user));
    users->set_count += user.set_count;
    users->user[users->count++] = user;
    *slot = (uint32_t)users->count;
}

static struct secrets read_secrets(struct loader *l, const struct cJSON *user)
{
    struct secrets secrets = {0};
    if (!cJSON_IsObject(user)) {
        complain(l, user, NULL, true, "must be an object with a password or an ha1");
        return secrets;
    }
    for (const struct cJSON *member = user->child; member != NULL; member = member->next)
        read_member(l, user, member, &secrets);
    bool has_ha1 = false;
    for (size_t a = 0; a < DIGEST_ALGORITHMS; a++)
        has_ha1 = has_ha1 || secrets.ha1[a] != NULL;
    if (user->child == NULL)
        complain(l, user, NULL, true, "needs a password or an ha1");
    else if (has_ha1 && secrets.password != NULL)
        complain(l, user, NULL, true, "has a password and an ha1: only one can be right");
    return secrets;
}

static void read_user(struct loader *l, const struct cJSON *object)
{
    struct buf *names = &l->users->names;
    size_t errors_before = l->error_count;
    struct user user = {.name_at = (uint32_t)names->len};
    const char *wrong = put_aor(names, object->string);
    user.name_len = (uint32_t)(names->len - user.name_at);
    if (names->error != 0) {
        l->failure = names->error;
        return;
    }
    if (wrong == NULL && *find_slot(l->users, user_name(l->users, &user)) != 0)
        wrong = "is the same address as a user before it";
    if (wrong != NULL)
        complain(l, object, NULL, false, wrong);
    struct secrets secrets = read_secrets(l, object);
    if (l->error_count == errors_before)
        add_user(l, user, &secrets);
    else
        names->len = user.name_at;
}

/* ---- The file ------------------------------------------------------------------------------ */

static size_t sets_needed(const struct cJSON *root)
{
    size_t sets = 0;
    for (const struct cJSON *user = root->child; user != NULL; user = user->next) {
        bool has_password = cJSON_GetObjectItemCaseSensitive(user, "password") != NULL;
        size_t spellings = has_escapes(str_from(user->string)) ? SPELLINGS : SPELLINGS / 2;
        sets += has_password ? spellings : 1;
    }
    return sets;
}

static int read_users(struct loader *l, const struct cJSON *root)
{
    if (!cJSON_IsObject(root)) {
        buf_printf(l->errors, "%s:1:1: must be an object of users\n", l->file_name);
        return -EINVAL;
    }
    l->users = users_new((size_t)cJSON_GetArraySize(root), sets_needed(root));
    if (l->users == NULL)
        return -ENOMEM;
    for (const struct cJSON *user = root->child; user != NULL; user = user->next) {
        read_user(l, user);
        if (l->failure != 0)
            return l->failure;
    }
    if (l->error_count > MAX_LISTED)
        buf_printf(l->errors, "%s: and %zu more\n", l->file_name, l->error_count - MAX_LISTED);
    return l->error_count == 0 ? 0 : -EINVAL;
}

int users_parse(const char *file_name, struct str json, struct users **out, struct buf *errors)
{
    struct json_position where = {1, 1};
    const char *what = "out of memory";
    struct cJSON *root = json_text_parse(json, &where, &what);
    if (root == NULL) {
        buf_printf(errors, "%s:%u:%u: %s\n", file_name, where.line, where.column, what);
        return -EINVAL;
    }
    struct loader l = {.file_name = file_name, .json = json, .errors = errors};
    int rc = read_users(&l, root);
    if (rc != 0 && rc != -EINVAL)
        buf_printf(errors, "%s: %s\n", file_name, strerror(-rc));
    json_text_wipe(root);
    if (rc == 0)
        *out = l.users;
    else
        users_free(l.users);
    return rc;
}

/* The tree of a large file was bigger than what is kept of it, and lies about in small pieces. */
static void give_back(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

int users_load(const char *file, struct users **out, struct buf *errors)
{
    struct str json;
    int rc = json_text_read_file(file, MAX_FILE_BYTES, &json);
    if (rc != 0) {
        buf_printf(errors, "%s: cannot be read: %s\n", file, strerror(-rc));
        return rc;
    }
    rc = users_parse(file, json, out, errors);
    json_text_wipe_file(json);
    give_back();
    return rc;
}
