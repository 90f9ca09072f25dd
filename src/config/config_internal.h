/* config_internal.h - what the files of src/config/ share. The story: config_load.c goes through
 * the layers: defaults, file, command line. For each, config_read.c walks the JSON tree, finds each
 * member's row in config_table.c and lets the row's type (config_types.c, config_texts.c,
 * config_lists.c, config_realms.c) check the value and put it into the struct that the table is
 * about. config_check.c then looks at the values together. */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H
#include <aorta/config.h>
#include <aorta/json_text.h>
#include <cjson/cJSON.h>

/* ---- Options ------------------------------------------------------------------------------- */

struct config_type;

struct config_option {
    const char *key;       /* "workers", "tls.cert", "authCallback.auth.username" */
    const char *other_key; /* a second spelling that is understood; NULL: none */
    const struct config_type *type;
    size_t offset;             /* of the (first) member of the table's struct that holds it */
    uint64_t min, max;         /* of a number, or of a text's bytes; transports: the allowed ones */
    const char *unit;          /* of a number: "seconds"; NULL: just a count */
    const char *const *names;  /* of a choice: the words in the order of its enum, NULL-ended */
    const char *fallback;      /* the default as JSON; NULL: none, and `null` asks for just that */
    const char *fallback_demo; /* with --demo in place of `fallback`, if any */
    const char *fallback_remark; /* how people call the default when `fallback` is NULL */
    bool is_secret;              /* never printed */
    bool is_start_only;          /* a reload leaves it as it is */
    bool is_found_out;           /* where nobody sets it: by a look at the machine */
    const char *help;            /* what it means, one line */
};

/* The options that one struct holds. */
struct config_table {
    const struct config_option *option;
    size_t count;
};

enum { CONFIG_OPTIONS_MAX = 96, CONFIG_DEPTH = 8, CONFIG_KEY = 400, CONFIG_QUOTE = 400 };

extern const struct config_table config_options;       /* of struct config */
extern const struct config_table config_realm_options; /* of struct config_realm */

/* By either spelling; NULL when there is none of that name. */
const struct config_option *config_option_find(const struct config_table *table, struct str key);
size_t config_option_index(const struct config_table *table, const struct config_option *option);
/* Does its key start with `group` and a dot, as "tls.cert" does with "tls"? */
bool config_option_is_in(const struct config_option *option, struct str group);
bool config_is_group(const struct config_table *table, struct str key);
/* The option or group whose name is most like `key`, or NULL when nothing is near. */
const char *config_suggest(const struct config_table *table, struct str key, char text[CONFIG_KEY]);
/* What range, unit or words the option takes: "seconds, 1 to 86400"; nothing for other types. */
void config_option_put_range(const struct config_option *option, struct buf *out);

/* Of "a.b.c": "a.b", which is "" where there is one name only, and "c". */
struct str config_key_group(struct str key);
struct str config_key_last(struct str key);

/* Frees what the options' members hold. */
void config_clear(const struct config_table *table, void *object);
/* The members of a JSON object whose own brace stands `level` steps in, and its closing brace. */
void config_print_object(const struct config_table *table, const void *object, unsigned level,
                         struct buf *out);

/* ---- Where a value came from, and what is wrong with it -------------------------------------- */

enum config_origin { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_OVERRIDE };

/* The way to a value: members' names from the root and, for an item of a list, its index. A -D has
 * its whole key as the first name. */
struct config_path {
    const char *name[CONFIG_DEPTH]; /* borrowed */
    size_t depth;
};

struct config_path config_path_with(const struct config_path *path, const char *name);
/* The names from number `first` on with dots between them, cut to what `text` holds. */
struct str config_path_key(const struct config_path *path, size_t first, char text[CONFIG_KEY]);

struct config_report {
    const char *file;      /* NULL: none */
    struct str text;       /* the file's */
    struct buf *errors;    /* a line for each */
    size_t count;          /* of them */
    size_t searched_bytes; /* for their places, so far */
};

enum config_place { CONFIG_AT_KEY, CONFIG_AT_VALUE };

/* One line: file and place when it came from there, key, what is wrong. */
void config_complain(struct config_report *report, enum config_origin origin,
                     const struct config_path *path, enum config_place place, const char *format,
                     ...) __attribute__((format(printf, 5, 6)));
/* `s` in quotes, on one line and not too long, whatever is in it. Returns `text`. */
const char *config_quote(char text[CONFIG_QUOTE], struct str s);

/* ---- Reading ------------------------------------------------------------------------------- */

struct config_reader {
    struct config_report report;
    char *folder; /* where relative paths start, with its slash; NULL: the working directory */
    bool is_demo;
    enum config_origin origin; /* of what is being read */
    int error;                 /* -ENOMEM */
};

/* How an option got its value. */
struct config_setting {
    enum config_origin origin;
    bool is_wrong;      /* it was refused: what the option holds cannot be judged */
    const char *key;    /* as it was spelt; NULL for a default */
    const cJSON *value; /* likewise; borrowed from the tree, which outlives config_check() */
};

/* An object with a table of its own: the whole configuration, or a realm in it. */
struct config_scope {
    const struct config_table *table;
    void *object;                   /* the struct that the table is about */
    struct config_setting *setting; /* of each option, in the order of the table */
    struct config_path path;        /* to the object */
};

struct config_setting *config_setting_of(const struct config_scope *scope, const char *key);
void config_read_defaults(struct config_reader *reader, const struct config_scope *scope);
/* `value` stands at `path`, which starts with that of the scope. Its strings are replaced by what
 * the environment says. All that is wrong is complained about. */
void config_read_member(struct config_reader *reader, const struct config_scope *scope,
                        const struct config_path *path, cJSON *value);
/* Each member of `object`. */
void config_read_object(struct config_reader *reader, const struct config_scope *scope,
                        const struct config_path *path, cJSON *object);

/* ---- Types --------------------------------------------------------------------------------- */

/* A value on its way into an option. */
struct config_input {
    struct config_reader *reader;
    const struct config_option *option;
    cJSON *value;      /* its strings already hold what the environment says */
    bool was_replaced; /* it is a string and did so: "${WORKERS:-2}" may become a number */
    const struct config_path *path;
};

/* Complains about the value, or about its item number `item` when that is not CONFIG_WHOLE. */
enum { CONFIG_WHOLE = -1 };
void config_refuse(const struct config_input *in, int item, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* `object` is the struct that the option's table is about. */
struct config_type {
    /* 0; -EINVAL after a complaint, the object being as it was; or -ENOMEM. */
    int (*set)(void *object, const struct config_input *in);
    void (*print)(const void *object, const struct config_option *option, struct buf *out);
    /* Back to having no value at all. NULL: the type always has one, and owns no memory. */
    void (*clear)(void *object, const struct config_option *option);
    /* Takes the value over from `running`; *is_other tells whether it was another one. 0 or
     * -ENOMEM. NULL: the type has no option that only a start can change. */
    int (*keep)(void *object, const void *running, const struct config_option *option,
                bool *is_other);
};

extern const struct config_type config_type_count, config_type_flag, config_type_choice;
extern const struct config_type config_type_admin;
extern const struct config_type config_type_word, config_type_text, config_type_user_name;
extern const struct config_type config_type_host, config_type_host_port, config_type_url;
extern const struct config_type config_type_key_prefix, config_type_file, config_type_folder;
extern const struct config_type config_type_listeners, config_type_algorithms;
extern const struct config_type config_type_transports, config_type_origins;
extern const struct config_type config_type_networks, config_type_realms;
extern const struct config_type config_type_starts;

static inline void *config_member(void *object, const struct config_option *option)
{
    return (char *)object + option->offset;
}
static inline const void *config_member_const(const void *object,
                                              const struct config_option *option)
{
    return (const char *)object + option->offset;
}

/* The value as a string; STR_NONE when it is none. */
static inline struct str config_text_of(const cJSON *value)
{
    return cJSON_IsString(value) ? str_from(value->valuestring) : STR_NONE;
}
/* Is it JSON's own true or false, or the text of that where a variable gave it? */
bool config_is_literal(const struct config_input *in, bool literal);

/* ---- Pure helpers -------------------------------------------------------------------------- */

/* Appends `s` with ${NAME} and ${NAME:-default} replaced from the environment. -EINVAL with a
 * phrase in `why`. As in a shell, the default also stands in for an empty variable; what comes in
 * is not looked through again. */
int config_expand(struct str s, struct buf *out, char why[CONFIG_QUOTE]);
/* Cuts "scheme://rest". False when there is no "://". */
bool config_url_split(struct str url, struct str *scheme, struct str *rest);
/* "192.0.2.1:5060" or "[2001:db8::1]:5060". NULL, or a phrase for what it lacks. */
const char *config_socket_parse(struct str text, struct net_address *out);
/* A host name, an IPv4 address or a bracketed IPv6 one. */
bool config_host_is_valid(struct str s);
/* host[:port]. */
bool config_host_port_is_valid(struct str s);
/* An allowed origin in the form that browsers send: lower case, no default port. -EINVAL. */
int config_origin_parse(struct str pattern, struct buf *out);
/* A SIP domain as it stands in an AOR: in lower case, IPv6 in brackets; or "*". -EINVAL. */
int config_domain_parse(struct str text, struct buf *out);
/* An http:// or https:// URL with a host. NULL, or a phrase for what is wrong. */
const char *config_http_url_check(struct str url);

/* ---- Values together ------------------------------------------------------------------------- */

/* What is wrong with the values of the whole configuration together, which each are right. */
void config_check(const struct config_scope *scope, struct config_report *report);
/* Likewise with the authCallback of any scope. */
void config_check_callback(const struct config_scope *scope, struct config_report *report);
#endif
