#include "options.h"
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const transport_names[TRANSPORTS] = {"udp", "tcp", "tls", "ws", "wss"};
const char *const mode_names[MODES] = {"storm",     "refresh", "cached",
                                       "challenge", "idle",    "reconnect"};
static const char *const default_targets[TRANSPORTS] = {"127.0.0.1:5060", "127.0.0.1:5060",
                                                        "127.0.0.1:5061", "127.0.0.1:8080",
                                                        "127.0.0.1:8443"};

static const char help[] =
    "aorta-load: registers SIP clients by the thousand, checks every answer, and tells what it "
    "cost\n"
    "Usage: aorta-load [OPTION]...\n"
    "\n"
    "  --transport T     udp, tcp, tls, ws or wss (default udp)\n"
    "  --mode M          storm      every registration is a new client: connect, REGISTER, 401, "
    "REGISTER\n"
    "                               with digest, 200, and the connection closes (default)\n"
    "                    refresh    clients stay; each registers again as soon as its 200 came, "
    "with the\n"
    "                               nonce that it has\n"
    "                    cached     as refresh, without credentials until the server asks for "
    "them\n"
    "                    challenge  as refresh, as JsSIP does it: without credentials first, every "
    "time\n"
    "                    idle       clients register and are held: memory for each\n"
    "                    reconnect  clients register; when the server goes away (or on SIGUSR1) "
    "all come\n"
    "                               back at once\n"
    "  --target HOST:PORT          default 127.0.0.1 and 5060, 5060, 5061, 8080 or 8443\n"
    "  --allow-remote              the target need not be this machine\n"
    "  --clients N       clients (AORs) that stay, or registrations under way at once (storm); "
    "100\n"
    "  --aors N          storm: AORs used in turn; 10000\n"
    "  --rate R          open loop: R registrations a second in all, evenly; latency counts from "
    "the\n"
    "                    moment each was due (storm, refresh, cached, challenge)\n"
    "  --processes P     share of the clients for each of P processes; 1\n"
    "  --sockets N       udp: sockets of each process; 8\n"
    "  --width N         clients that connect at the same time in each process while the set-up "
    "lasts\n"
    "                    (64, udp 256), and when they come back (reconnect: all)\n"
    "  --seconds S       measured time, 1 to 3600; 5     --warmup S  before it, not measured; 1\n"
    "  --count N         ends after N measured registrations\n"
    "  --timeout-ms N    a request without final answer by then has failed; 5000\n"
    "\n"
    "  --domain D        example.test     --user-prefix P  u: users are u0000000, u0000001 ...\n"
    "  --password P      secret, one for all     --expires S  asked for; 600\n"
    "  --write-users FILE N        writes the first N users as aorta's users file, and ends\n"
    "  --path P          of the WebSocket; /     --origin O  sends an Origin header\n"
    "  --ca FILE         verifies the server's certificate by it (default: not verified)\n"
    "  --resume          TLS sessions are resumed (default: full handshakes)\n"
    "  --close HOW       storm: fin or rst; fin\n"
    "\n"
    "  --server-pid PID  measures CPU time and memory of this process and its descendants; may be\n"
    "                    given several times\n"
    "  --json            prints the one line of JSON only\n"
    "  --help\n"
    "\n"
    "Exit status: 0 registered without a failure, 1 not so, 2 unusable command line.\n";

enum option_code {
    OPT_TRANSPORT = 256,
    OPT_MODE,
    OPT_TARGET,
    OPT_ALLOW_REMOTE,
    OPT_CLIENTS,
    OPT_AORS,
    OPT_RATE,
    OPT_PROCESSES,
    OPT_SOCKETS,
    OPT_WIDTH,
    OPT_SECONDS,
    OPT_WARMUP,
    OPT_COUNT,
    OPT_TIMEOUT,
    OPT_DOMAIN,
    OPT_PREFIX,
    OPT_PASSWORD,
    OPT_EXPIRES,
    OPT_WRITE_USERS,
    OPT_PATH,
    OPT_ORIGIN,
    OPT_CA,
    OPT_RESUME,
    OPT_CLOSE,
    OPT_SERVER_PID,
    OPT_JSON,
    OPT_HELP,
};

static const struct option table[] = {
    {"transport",    required_argument, NULL, OPT_TRANSPORT   },
    {"mode",         required_argument, NULL, OPT_MODE        },
    {"target",       required_argument, NULL, OPT_TARGET      },
    {"allow-remote", no_argument,       NULL, OPT_ALLOW_REMOTE},
    {"clients",      required_argument, NULL, OPT_CLIENTS     },
    {"aors",         required_argument, NULL, OPT_AORS        },
    {"rate",         required_argument, NULL, OPT_RATE        },
    {"processes",    required_argument, NULL, OPT_PROCESSES   },
    {"sockets",      required_argument, NULL, OPT_SOCKETS     },
    {"width",        required_argument, NULL, OPT_WIDTH       },
    {"seconds",      required_argument, NULL, OPT_SECONDS     },
    {"warmup",       required_argument, NULL, OPT_WARMUP      },
    {"count",        required_argument, NULL, OPT_COUNT       },
    {"timeout-ms",   required_argument, NULL, OPT_TIMEOUT     },
    {"domain",       required_argument, NULL, OPT_DOMAIN      },
    {"user-prefix",  required_argument, NULL, OPT_PREFIX      },
    {"password",     required_argument, NULL, OPT_PASSWORD    },
    {"expires",      required_argument, NULL, OPT_EXPIRES     },
    {"write-users",  required_argument, NULL, OPT_WRITE_USERS },
    {"path",         required_argument, NULL, OPT_PATH        },
    {"origin",       required_argument, NULL, OPT_ORIGIN      },
    {"ca",           required_argument, NULL, OPT_CA          },
    {"resume",       no_argument,       NULL, OPT_RESUME      },
    {"close",        required_argument, NULL, OPT_CLOSE       },
    {"server-pid",   required_argument, NULL, OPT_SERVER_PID  },
    {"json",         no_argument,       NULL, OPT_JSON        },
    {"help",         no_argument,       NULL, OPT_HELP        },
    {NULL,           0,                 NULL, 0               },
};

/* ---- Values -------------------------------------------------------------------------------- */

static bool complain(const char *what, const char *value)
{
    fprintf(stderr, "aorta-load: %s: %s (--help tells more)\n", what, value);
    return false;
}

static bool read_number(const char *text, double low, double high, double *out, const char *what)
{
    char *end;
    errno = 0;
    double n = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !isfinite(n) || n < low || n > high)
        return complain(what, text);
    *out = n;
    return true;
}

static bool read_whole(const char *text, double low, double high, uint32_t *out, const char *what)
{
    double n;
    if (!read_number(text, low, high, &n, what))
        return false;
    if (n != floor(n))
        return complain(what, text);
    *out = (uint32_t)n;
    return true;
}

static bool read_name(const char *text, const char *const *names, int count, int *out,
                      const char *what)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], text) == 0) {
            *out = i;
            return true;
        }
    return complain(what, text);
}

/* Goes into messages and JSON as it stands. */
static bool read_text(const char *text, const char **out, const char *what)
{
    size_t len = strlen(text);
    bool is_plain = len > 0 && len <= 200;
    for (size_t i = 0; i < len; i++)
        is_plain = is_plain && text[i] > ' ' && text[i] < 0x7f && strchr("\"\\<>", text[i]) == NULL;
    if (!is_plain)
        return complain(what, text);
    *out = text;
    return true;
}

static bool read_pid(struct options *o, const char *text)
{
    uint32_t pid;
    if (o->server_pid_count == MAX_SERVER_PIDS)
        return complain("too many --server-pid", text);
    if (!read_whole(text, 1, 1 << 30, &pid, "no process id"))
        return false;
    o->server_pids[o->server_pid_count++] = (int)pid;
    return true;
}

static bool read_count(struct options *o, const char *text)
{
    double n;
    if (!read_number(text, 1, 1e12, &n, "--count"))
        return false;
    o->count = (uint64_t)n;
    return true;
}

static bool read_option(struct options *o, int option, char *value, int argc, char **argv)
{
    static const char *const closes[] = {"fin", "rst"};
    int n = 0;
    bool is_good;
    switch (option) {
    case OPT_TRANSPORT:
        is_good = read_name(value, transport_names, TRANSPORTS, &n, "no such transport");
        o->transport = (enum transport)n;
        return is_good;
    case OPT_MODE:
        is_good = read_name(value, mode_names, MODES, &n, "no such mode");
        o->mode = (enum mode)n;
        return is_good;
    case OPT_CLOSE:
        is_good = read_name(value, closes, 2, &n, "--close");
        o->close_by_reset = n == 1;
        return is_good;
    case OPT_TARGET:
        o->target = value;
        return true;
    case OPT_ALLOW_REMOTE:
        return o->allow_remote = true;
    case OPT_RESUME:
        return o->resume = true;
    case OPT_JSON:
        return o->json_only = true;
    case OPT_CLIENTS:
        return read_whole(value, 1, MAX_USERS, &o->clients, "--clients");
    case OPT_AORS:
        return read_whole(value, 1, MAX_USERS, &o->aors, "--aors");
    case OPT_RATE:
        return read_number(value, 0.01, 1e7, &o->rate, "--rate");
    case OPT_PROCESSES:
        return read_whole(value, 1, MAX_PROCESSES, &o->processes, "--processes");
    case OPT_SOCKETS:
        return read_whole(value, 1, 64, &o->sockets, "--sockets");
    case OPT_WIDTH:
        return read_whole(value, 1, MAX_USERS, &o->width, "--width");
    case OPT_SECONDS:
        return read_number(value, 0.1, 3600, &o->seconds, "--seconds");
    case OPT_WARMUP:
        return read_number(value, 0, 600, &o->warmup_s, "--warmup");
    case OPT_COUNT:
        return read_count(o, value);
    case OPT_TIMEOUT:
        return read_whole(value, 10, 60000, &o->timeout_ms, "--timeout-ms");
    case OPT_DOMAIN:
        return read_text(value, &o->domain, "--domain");
    case OPT_PREFIX:
        return read_text(value, &o->user_prefix, "--user-prefix");
    case OPT_PASSWORD:
        return read_text(value, &o->password, "--password");
    case OPT_EXPIRES:
        return read_whole(value, 1, 1e9, &o->expires_s, "--expires");
    case OPT_PATH:
        return read_text(value, &o->path, "--path");
    case OPT_ORIGIN:
        return read_text(value, &o->origin, "--origin");
    case OPT_CA:
        o->ca = value;
        return true;
    case OPT_SERVER_PID:
        return read_pid(o, value);
    case OPT_WRITE_USERS:
        o->users_file = value;
        if (optind >= argc)
            return complain("--write-users wants a number too", value);
        return read_whole(argv[optind++], 1, MAX_USERS, &o->users_count, "--write-users");
    default:
        return false;
    }
}

/* ---- The target ---------------------------------------------------------------------------- */

static bool is_loopback(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)sa)->sin6_addr);
}

/* "host:port", "[v6]:port", "host" or ":port"; what is missing is the transport's own. */
static bool split_target(const struct options *o, char host[256], char port[16])
{
    const char *text = o->target ? o->target : default_targets[o->transport];
    const char *own = default_targets[o->transport];
    const char *colon = strrchr(text, ':'), *bracket = strchr(text, ']');
    if (colon && bracket && colon < bracket)
        colon = NULL;
    size_t len = colon ? (size_t)(colon - text) : strlen(text);
    if (text[0] == '[' && bracket) {
        len = (size_t)(bracket - ++text);
    }
    if (len > 255)
        return false;
    snprintf(host, 256, "%.*s", len ? (int)len : 9, len ? text : own);
    snprintf(port, 16, "%.15s", colon ? colon + 1 : strrchr(own, ':') + 1);
    return true;
}

static bool find_target(struct options *o)
{
    char host[256], port[16];
    if (!split_target(o, host, port))
        return complain("no host:port", o->target);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return complain("no such target", o->target ? o->target : "");
    memcpy(&o->address, found->ai_addr, found->ai_addrlen);
    o->address_len = found->ai_addrlen;
    freeaddrinfo(found);
    if (!o->allow_remote && !is_loopback((const struct sockaddr *)&o->address))
        return complain("not this machine, and --allow-remote is not given", o->target);
    return true;
}

/* ---- All of it ----------------------------------------------------------------------------- */

static bool is_possible(const struct options *o)
{
    if (o->mode == MODE_RECONNECT && o->transport == TRANSPORT_UDP)
        return complain("has no connection to lose", "udp reconnect");
    if (o->rate > 0 && (o->mode == MODE_IDLE || o->mode == MODE_RECONNECT))
        return complain("takes no --rate", mode_names[o->mode]);
    if (o->mode == MODE_IDLE && o->seconds >= o->expires_s)
        return complain("bindings would expire: --seconds reaches --expires", mode_names[o->mode]);
    if (o->clients < o->processes)
        return complain("fewer than --processes", "--clients");
    if (o->mode == MODE_STORM && o->aors < o->processes)
        return complain("fewer than --processes", "--aors");
    return true;
}

enum options_result options_read(struct options *o, int argc, char **argv)
{
    *o = (struct options){
        .clients = 100,
        .aors = 10000,
        .processes = 1,
        .sockets = 8,
        .seconds = 5,
        .warmup_s = 1,
        .domain = "example.test",
        .user_prefix = "u",
        .password = "secret",
        .expires_s = 600,
        .path = "/",
        .timeout_ms = 5000,
    };
    optind = 1;
    int option;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (option == OPT_HELP) {
            fputs(help, stdout);
            return OPTIONS_HELP;
        }
        if (!read_option(o, option, optarg, argc, argv))
            return OPTIONS_BAD;
    }
    if (optind < argc) {
        complain("unknown argument", argv[optind]);
        return OPTIONS_BAD;
    }
    if (o->users_file)
        return OPTIONS_GO;
    return is_possible(o) && find_target(o) ? OPTIONS_GO : OPTIONS_BAD;
}
