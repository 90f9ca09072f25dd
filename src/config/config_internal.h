/* config_internal.h - what the files of src/config/ share. The story: config_load.c walks a JSON
 * tree, finds each member's row in config_table.c and lets the row's type (config_types.c,
 * config_lists.c) check the value and put it into struct config; config_check.c then looks at the
 * values together. */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H
#include <aorta/config.h>
#include <aorta/json_text.h>
#include <cjson/cJSON.h>

/* ---- Options ------------------------------------------------------------------------------- */

struct config_type;

struct config_option {
    const char *key; /* "tls.cert": one or two names */
    const struct config_type *type;
    size_t offset;             /* of the (first) member of struct config that holds it */
    uint64_t min, max;         /* of a number; of transports: max is the mask of allowed ones */
    const char *unit;          /* of a number: "seconds"; NULL: just a count */
    const char *const *names;  /* of a choice: the words in the order of its enum, NULL-ended */
    const char *fallback;      /* the default as JSON; NULL: none, and `null` asks for just that */
    const char *fallback_demo; /* with --demo in place of `fallback`, if any */
    const char *fallback_remark; /* how people call the default when `fallback` is NULL */
    bool is_secret;              /* never printed */
    const char *help;            /* what it means, one line */
};

enum { CONFIG_OPTIONS_MAX = 64, CONFIG_DEPTH = 4, CONFIG_KEY = 128, CONFIG_QUOTE = 400 };

extern const struct config_option config_options[];
extern const size_t config_option_count;

/* NULL when there is none of that name. */
const struct config_option *config_option_find(struct str key);
size_t config_option_index(const struct config_option *option);
/* Is `key` the first name of options that have two, as "tls" is of "tls.cert"? */
bool config_is_group(struct str key);
/* The option or group whose name is most like `key`, or NULL when nothing is near. */
const char *config_suggest(struct str key, char text[CONFIG_KEY]);
/* What range, unit or words the option takes: "seconds, 1 to 86400"; nothing for other types. */
void config_option_put_range(const struct config_option *option, struct buf *out);

/* ---- Where a value came from, and what is wrong with it -------------------------------------- */

enum config_origin { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_OVERRIDE };

struct config_place {
    enum config_origin origin;
    struct json_position at; /* in the file */
};

struct config_path {
    const char *name[CONFIG_DEPTH];
    size_t depth;
};

struct config_report {
    const char *file;   /* NULL: none */
    struct str text;    /* the file's */
    struct buf *errors; /* a line for each */
    size_t count;       /* of them */
};

/* One line: place, key, what is wrong. */
void config_complain(struct config_report *report, const struct config_place *place, struct str key,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));
/* `s` in quotes, on one line and not too long, whatever is in it. Returns `text`. */
const char *config_quote(char text[CONFIG_QUOTE], struct str s);

/* ---- Types --------------------------------------------------------------------------------- */

/* A value on its way into an option. */
struct config_input {
    const struct config_option *option;
    const cJSON *value; /* its strings already hold what the environment says */
    bool was_replaced;  /* it is a string and did so: "${WORKERS:-2}" may become a number */
    const char *folder; /* where relative paths start; NULL: the working directory */
    struct config_report *report;
    enum config_origin origin;
    const struct config_path *path;
};

/* Complains about the value, or about its item number `item` when that is not CONFIG_WHOLE. */
enum { CONFIG_WHOLE = -1 };
void config_refuse(const struct config_input *in, int item, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct config_type {
    /* 0; -EINVAL after config_refuse(), the configuration being as it was; or -ENOMEM. */
    int (*set)(struct config *config, const struct config_input *in);
    void (*print)(const struct config *config, const struct config_option *option, struct buf *out);
    /* Back to having no value at all. NULL: the type always has one, and owns no memory. */
    void (*clear)(struct config *config, const struct config_option *option);
};

extern const struct config_type config_type_count, config_type_flag, config_type_choice;
extern const struct config_type config_type_word, config_type_host_port, config_type_file;
extern const struct config_type config_type_folder, config_type_admin;
extern const struct config_type config_type_listeners, config_type_algorithms;
extern const struct config_type config_type_transports, config_type_origins;

static inline void *config_member(struct config *config, const struct config_option *option)
{
    return (char *)config + option->offset;
}
static inline const void *config_member_const(const struct config *config,
                                              const struct config_option *option)
{
    return (const char *)config + option->offset;
}

/* ---- Pure helpers -------------------------------------------------------------------------- */

/* Appends `s` with ${NAME} and ${NAME:-default} replaced from the environment. -EINVAL with a
 * phrase in `why`. As in a shell, the default also stands in for an empty variable; what comes in
 * is not looked through again. */
int config_expand(struct str s, struct buf *out, char why[CONFIG_QUOTE]);
/* Cuts "scheme://rest". False when there is no "://". */
bool config_url_split(struct str url, struct str *scheme, struct str *rest);
/* "192.0.2.1:5060" or "[2001:db8::1]:5060". NULL, or a phrase for what it lacks. */
const char *config_socket_parse(struct str text, struct net_address *out);
/* host[:port] with a host name, an IPv4 address or a bracketed IPv6 one. */
bool config_host_port_is_valid(struct str s);
/* An allowed origin in the form that browsers send: lower case, no default port. -EINVAL. */
int config_origin_parse(struct str pattern, struct buf *out);

/* ---- Steps of config_load() ------------------------------------------------------------------ */

/* What is wrong with the values together, which each are right. `place` tells where each option
 * was set, `is_wrong` whether it was refused, and so holds nothing that can be judged. */
void config_check(const struct config *config, const struct config_place *place,
                  const bool *is_wrong, struct config_report *report);
#endif
