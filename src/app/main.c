#include "app.h"
#include "privileges.h"
#include "probe.h"
#include <aorta/str.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_OVERRIDES = 256 };
enum { OUTPUT_BYTES = 1 << 26 }; /* thousands of realms take megabytes */
enum long_option { OPTION_DEMO = 256, OPTION_CHECK, OPTION_PRINT_CONFIG, OPTION_PROBE };

struct arguments {
    struct config_source source;
    const char *override[MAX_OVERRIDES];
    bool checks, prints, helps, shows_version;
    const char *probed; /* "health" or "ready"; NULL: nothing */
};

static const char usage[] =
    "usage: aorta [-c FILE] [-D KEY=VALUE]... [--demo] [--check] [--print-config]\n"
    "             [--probe[=ready]] [-V|--version] [-h|--help]\n";

static int read_arguments(int argc, char **argv, struct arguments *args)
{
    static const struct option options[] = {
        {"config",       required_argument, NULL, 'c'                },
        {"define",       required_argument, NULL, 'D'                },
        {"demo",         no_argument,       NULL, OPTION_DEMO        },
        {"check",        no_argument,       NULL, OPTION_CHECK       },
        {"print-config", no_argument,       NULL, OPTION_PRINT_CONFIG},
        {"probe",        optional_argument, NULL, OPTION_PROBE       },
        {"version",      no_argument,       NULL, 'V'                },
        {"help",         no_argument,       NULL, 'h'                },
        {NULL,           0,                 NULL, 0                  },
    };
    for (int option; (option = getopt_long(argc, argv, "c:D:Vh", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            args->source.file = optarg;
            break;
        case 'D':
            if (args->source.override_count == MAX_OVERRIDES) {
                fprintf(stderr, "aorta: more than %d -D arguments\n", MAX_OVERRIDES);
                return -EINVAL;
            }
            args->override[args->source.override_count++] = optarg;
            break;
        case OPTION_DEMO:
            args->source.demo = true;
            break;
        case OPTION_CHECK:
            args->checks = true;
            break;
        case OPTION_PRINT_CONFIG:
            args->prints = true;
            break;
        case OPTION_PROBE:
            args->probed = optarg ? optarg : "health";
            if (!str_eq(str_from(args->probed), STR("health")) &&
                !str_eq(str_from(args->probed), STR("ready"))) {
                fputs("aorta: --probe=health or --probe=ready\n", stderr);
                return -EINVAL;
            }
            break;
        case 'V':
            args->shows_version = true;
            break;
        case 'h':
            args->helps = true;
            break;
        default: /* getopt_long() has said what is wrong */
            fputs(usage, stderr);
            return -EINVAL;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "aorta: unexpected argument \"%s\"\n%s", argv[optind], usage);
        return -EINVAL;
    }
    args->source.override = args->override;
    return 0;
}

static void print_buf(const struct buf *b, FILE *to)
{
    if (b->len > 0)
        fwrite(b->data, 1, b->len, to);
}

static int print_help(void)
{
    struct buf b;
    buf_init_heap(&b, OUTPUT_BYTES);
    buf_printf(
        &b,
        "%s\n"
        "  -c FILE          configuration, JSON\n"
        "  -D KEY=VALUE     overrides one key of it; VALUE is JSON, or else a string\n"
        "  --demo           try it: loopback only, demo users, a certificate of its own\n"
        "  --check          says what is wrong with the configuration, and starts nothing\n"
        "  --print-config   prints the effective configuration, secrets hidden\n"
        "  --probe[=ready]  asks the aorta that runs with this configuration whether it is alive\n"
        "                   (/healthz), or ready (/readyz); the exit status tells\n"
        "  -V, --version    prints the version\n"
        "  -h, --help       prints this\n\n",
        usage);
    config_print_help(&b);
    print_buf(&b, stdout);
    buf_fini(&b);
    return EXIT_OK;
}

static int print_config(const struct config *config)
{
    struct buf b;
    buf_init_heap(&b, OUTPUT_BYTES);
    config_print(config, &b);
    int error = b.error;
    if (error == 0)
        print_buf(&b, stdout);
    else
        fprintf(stderr, "aorta: the configuration cannot be printed: %s\n", strerror(-error));
    buf_fini(&b);
    return error == 0 ? EXIT_OK : EXIT_FAILED;
}

static int run(const struct arguments *args)
{
    struct buf errors;
    struct config *config = NULL;
    buf_init_heap(&errors, OUTPUT_BYTES);
    int rc = config_load(&args->source, &config, &errors);
    print_buf(&errors, stderr);
    buf_fini(&errors);
    if (rc < 0)
        return EXIT_UNUSABLE;
    if (!args->checks && !args->prints && !args->probed)
        return app_run(config, &args->source);
    int status = args->checks   ? app_check(config)
                 : args->prints ? print_config(config)
                                : probe(config, str_eq(str_from(args->probed), STR("ready")));
    config_free(config);
    return status;
}

int main(int argc, char **argv)
{
    static struct arguments args;
    privileges_limit();
    if (str_hash_seed() < 0) {
        fputs("aorta: no random numbers to be had\n", stderr);
        return EXIT_FAILED;
    }
    if (read_arguments(argc, argv, &args) < 0)
        return EXIT_UNUSABLE;
    if (args.helps)
        return print_help();
    if (args.shows_version) {
        puts("aorta " AORTA_VERSION);
        return EXIT_OK;
    }
    return run(&args);
}
