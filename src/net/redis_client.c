/* One attempt after the other: look the name up, connect, shake hands, be up, be lost, wait.
 * A single timer serves all of them, for there is always one thing that must not take too long. */
#include "redis_internal.h"
#include <aorta/clock.h>
#include <aorta/log.h>
#include <aorta/ratelimit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FIRST_WAIT_MS = 50,
    LONGEST_WAIT_MS = 1000,
    HANDSHAKE_COMMANDS = 5,
    SECOND_LOOK_MS = 100,
    SAME_FAILURE_LOG_MS = 10000,
    LOG_BURST = 10, /* lines; then one a second */
    COMMAND_BUFFER_KEPT = 256 << 10,
    MAX_RUN_ID_END = 128, /* of its line; it has 40 digits */
};

enum state {
    STATE_WAITING,    /* for the next attempt */
    STATE_LOOKING_UP, /* the name */
    STATE_CONNECTING, /* until the handshake is done */
    STATE_UP
};

struct redis_client {
    struct net_loop *loop;
    struct redis_client_options options;
    struct redis_client_events events;
    enum state state;
    uv_timer_t timer;
    uint32_t wait_ms;            /* before jitter; doubles with every failure */
    struct redis_lookup *lookup; /* may outlive the attempt that began it */
    struct net_address addresses[REDIS_MAX_ADDRESSES];
    size_t address_count, next_address;
    struct redis_link *link; /* NULL unless connecting or up */
    struct redis_queue queue;
    uint64_t answered;  /* commands, ever */
    uint64_t suspected; /* the number of the command that was found overdue; 0: none */
    struct buf command; /* the one that is being written */
    bool is_in_answer;  /* a callback of a command runs: the link cannot be closed */
    bool is_giving_up;  /* the link closes when that returns, because of `why` */
    char why[REDIS_WHY_BYTES];
    struct ratelimit log_limit;
    char logged_why[REDIS_WHY_BYTES];
    uint64_t logged_ms;
};

static void on_timer(uv_timer_t *timer);

static void set_timer(struct redis_client *client, uint64_t ms)
{
    uv_timer_start(&client->timer, on_timer, ms, 0);
}

static uint64_t now_ms(const struct redis_client *client)
{
    return uv_now(&client->loop->uv);
}

/* ---- Log ------------------------------------------------------------------------------------- */

#define LOG_SERVER(client) \
    LOG_TEXT("host", (client)->options.host), LOG_NUM("port", (client)->options.port)

static void set_state(struct redis_client *client, enum state state)
{
    static const char *const name[] = {"waiting", "looking up", "connecting", "up"};
    LOG_DEBUG("redis connection moves", LOG_TEXT("from", name[client->state]),
              LOG_TEXT("to", name[state]));
    client->state = state;
}

static void log_connected(struct redis_client *client, struct str run_id)
{
    client->logged_why[0] = 0;
    if (ratelimit_take(&client->log_limit, now_ms(client)))
        LOG_INFO("redis connected", LOG_SERVER(client), LOG_NUM("db", client->options.db),
                 LOG_STR("run_id", run_id));
}

static void log_lost(struct redis_client *client, const char *why)
{
    if (ratelimit_take(&client->log_limit, now_ms(client)))
        LOG_WARN("redis lost", LOG_SERVER(client), LOG_TEXT("why", why),
                 LOG_NUM("unanswered", client->queue.count));
}

static void log_failed_attempt(struct redis_client *client, const char *why)
{
    bool is_same = strcmp(why, client->logged_why) == 0;
    if (is_same && now_ms(client) - client->logged_ms < SAME_FAILURE_LOG_MS)
        return;
    if (!ratelimit_take(&client->log_limit, now_ms(client)))
        return;
    LOG_WARN("redis cannot be used", LOG_SERVER(client), LOG_TEXT("why", why));
    snprintf(client->logged_why, sizeof client->logged_why, "%s", why);
    client->logged_ms = now_ms(client);
}

/* ---- Losing a connection --------------------------------------------------------------------- */

/* Between half and one and a half of it, so that workers and nodes do not come back as one. */
static uint32_t jittered(uint32_t ms)
{
    uint32_t random = 0;
    (void)net_random(&random, sizeof random);
    return ms / 2 + random % (ms + 1);
}

static void wait_for_next_attempt(struct redis_client *client)
{
    set_timer(client, jittered(client->wait_ms));
    client->wait_ms *= 2;
    if (client->wait_ms > LONGEST_WAIT_MS)
        client->wait_ms = LONGEST_WAIT_MS;
}

static void answer_all_by_none(struct redis_client *client)
{
    while (client->queue.count > 0) {
        struct redis_sent sent = redis_queue_pop(&client->queue);
        free(sent.evaluation);
        if (sent.done)
            sent.done(sent.arg, NULL);
    }
}

/* The attempt or the connection is over, and its link gone. */
static void lost(struct redis_client *client, const char *why)
{
    bool was_up = client->state == STATE_UP;
    if (was_up)
        log_lost(client, why);
    else
        log_failed_attempt(client, why);
    client->link = NULL;
    client->is_giving_up = false;
    set_state(client, STATE_WAITING);
    wait_for_next_attempt(client);
    answer_all_by_none(client);
    if (was_up)
        client->events.down(client->events.arg, why);
}

static void give_up(struct redis_client *client, const char *why)
{
    if (client->is_in_answer) {
        if (!client->is_giving_up)
            snprintf(client->why, sizeof client->why, "%s", why);
        client->is_giving_up = true;
        return;
    }
    if (client->link)
        redis_link_close(client->link);
    lost(client, why);
}

static void on_closed(void *arg, const char *why)
{
    struct redis_client *client = arg;
    char text[REDIS_WHY_BYTES];
    snprintf(text, sizeof text, "%s", client->is_giving_up ? client->why : why);
    lost(client, text);
}

/* ---- Sending --------------------------------------------------------------------------------- */

/* The command in client->command. */
static int send_command(struct redis_client *client, redis_replied_fn *done, void *arg,
                        struct redis_evaluation *evaluation)
{
    buf_put_char(&client->command, 0);
    int rc = client->command.error;
    if (rc == 0) {
        struct str whole = {client->command.data, client->command.len - 1};
        rc = redis_link_send(client->link, whole);
    }
    if (client->command.cap > COMMAND_BUFFER_KEPT)
        buf_fini(&client->command);
    if (rc < 0)
        return -ENOMEM;
    const struct redis_sent sent = {.done = done,
                                    .arg = arg,
                                    .sent_ms = now_ms(client),
                                    .sent_us = client->options.durations ? clock_now_us() : 0,
                                    .evaluation = evaluation};
    redis_queue_push(&client->queue, &sent);
    if (client->state == STATE_UP && !uv_is_active((uv_handle_t *)&client->timer))
        set_timer(client, client->options.command_timeout_ms);
    return 0;
}

static void put_command(struct redis_client *client, const struct str *args, size_t count)
{
    buf_clear(&client->command);
    redis_command_begin(&client->command, count);
    for (size_t i = 0; i < count; i++)
        redis_command_put(&client->command, args[i]);
}

static int check_room(const struct redis_client *client)
{
    if (!redis_client_is_up(client))
        return -ENOTCONN;
    return client->queue.count < client->options.max_pending ? 0 : -ENOBUFS;
}

int redis_client_send(struct redis_client *client, const struct str *args, size_t count,
                      redis_replied_fn *done, void *arg)
{
    int rc = check_room(client);
    if (rc < 0)
        return rc;
    put_command(client, args, count);
    return send_command(client, done, arg, NULL);
}

static struct redis_evaluation *evaluation_new(const struct redis_script *script, size_t arg_count,
                                               struct str tail)
{
    struct redis_evaluation *evaluation = malloc(sizeof *evaluation + tail.len);
    if (!evaluation)
        return NULL;
    *evaluation = (struct redis_evaluation){script, arg_count, tail.len};
    memcpy(evaluation->tail, tail.ptr, tail.len);
    return evaluation;
}

/* Returns where the part begins that EVAL has in common with it. */
static size_t put_evalsha(struct redis_client *client, const struct redis_script *script,
                          size_t key_count, const struct str *args, size_t count)
{
    char memory[24];
    struct buf keys, *command = &client->command;
    buf_init_fixed(&keys, memory, sizeof memory);
    buf_put_u64(&keys, key_count);
    buf_clear(command);
    redis_command_begin(command, 3 + count);
    redis_command_put(command, STR("EVALSHA"));
    redis_command_put(command, (struct str){script->sha1, sizeof script->sha1 - 1});
    size_t head_bytes = command->len;
    redis_command_put(command, buf_str(&keys));
    for (size_t i = 0; i < count; i++)
        redis_command_put(command, args[i]);
    return head_bytes;
}

int redis_client_eval(struct redis_client *client, const struct redis_script *script,
                      size_t key_count, const struct str *args, size_t count,
                      redis_replied_fn *done, void *arg)
{
    int rc = check_room(client);
    if (rc < 0)
        return rc;
    size_t head_bytes = put_evalsha(client, script, key_count, args, count);
    struct str whole = buf_str(&client->command);
    struct redis_evaluation *evaluation =
        evaluation_new(script, 3 + count, str_slice(whole, head_bytes, whole.len));
    if (!evaluation)
        return -ENOMEM;
    rc = send_command(client, done, arg, evaluation);
    if (rc < 0)
        free(evaluation);
    return rc;
}

/* The server did not know the script. */
static int send_with_text(struct redis_client *client, const struct redis_sent *sent)
{
    const struct redis_evaluation *evaluation = sent->evaluation;
    buf_clear(&client->command);
    redis_command_begin(&client->command, evaluation->arg_count);
    redis_command_put(&client->command, STR("EVAL"));
    redis_command_put(&client->command, str_from(evaluation->script->text));
    buf_put(&client->command, evaluation->tail, evaluation->len);
    return send_command(client, sent->done, sent->arg, NULL);
}

static bool is_unknown_script(const struct redis_reply *reply)
{
    return redis_reply_type(reply) == REDIS_TYPE_ERROR &&
           str_starts_nocase(redis_reply_text(reply), STR("NOSCRIPT"));
}

static bool on_replied(void *arg, const struct redis_reply *reply)
{
    struct redis_client *client = arg;
    struct redis_sent sent = redis_queue_pop(&client->queue);
    client->answered++;
    if (client->options.durations)
        histogram_add(client->options.durations, clock_now_us() - sent.sent_us);
    bool is_sent_again =
        sent.evaluation && is_unknown_script(reply) && send_with_text(client, &sent) == 0;
    free(sent.evaluation);
    if (sent.done && !is_sent_again) {
        client->is_in_answer = true;
        sent.done(sent.arg, reply);
        client->is_in_answer = false;
    }
    return !client->is_giving_up;
}

/* ---- The handshake --------------------------------------------------------------------------- */

static bool is_given(const char *text)
{
    return text && text[0];
}

/* Another answer ends the attempt. */
static void expect(struct redis_client *client, const struct redis_reply *reply,
                   const char *command, struct str expected)
{
    struct str text = redis_reply_text(reply);
    enum redis_type type = redis_reply_type(reply);
    if (type == REDIS_TYPE_TEXT && str_eq(text, expected))
        return;
    if (type != REDIS_TYPE_ERROR)
        text = STR("an answer that makes no sense");
    char why[REDIS_WHY_BYTES];
    snprintf(why, sizeof why, "%s: %.*s", command, STR_ARG(str_slice(text, 0, sizeof why)));
    give_up(client, why);
}

/* Servers that do not know AUTH quote what they do not understand. */
static bool may_hold_password(const struct redis_client *client, struct str text)
{
    const char *password = client->options.password;
    return str_starts_nocase(text, STR("ERR unknown")) ||
           (text.len > 0 && is_given(password) &&
            memmem(text.ptr, text.len, password, strlen(password)));
}

static void on_auth(void *arg, const struct redis_reply *reply)
{
    struct redis_client *client = arg;
    if (reply && may_hold_password(client, redis_reply_text(reply)))
        give_up(client, "AUTH: refused");
    else if (reply)
        expect(client, reply, "AUTH", STR("OK"));
}

static void on_select(void *arg, const struct redis_reply *reply)
{
    if (reply)
        expect(arg, reply, "SELECT", STR("OK"));
}

/* While it loads its data, or waits for its master, a server does all the rest but this. */
static void on_ping(void *arg, const struct redis_reply *reply)
{
    if (reply && !str_starts_nocase(redis_reply_text(reply), STR("NOPERM")))
        expect(arg, reply, "PING", STR("PONG"));
}

static struct str find_run_id(struct str info)
{
    struct str line;
    while (str_split(&info, '\n', &line))
        if (str_starts_nocase(line, STR("run_id:")))
            return str_trim(str_slice(line, sizeof "run_id:" - 1, MAX_RUN_ID_END));
    return STR_NONE;
}

static void on_info(void *arg, const struct redis_reply *reply)
{
    struct redis_client *client = arg;
    if (!reply || client->is_giving_up)
        return;
    bool is_told = redis_reply_type(reply) == REDIS_TYPE_TEXT;
    struct str run_id = is_told ? find_run_id(redis_reply_text(reply)) : STR_NONE;
    set_state(client, STATE_UP);
    uv_timer_stop(&client->timer);
    client->wait_ms = FIRST_WAIT_MS;
    client->address_count = 0; /* the name may mean another address next time */
    log_connected(client, run_id);
    client->events.up(client->events.arg, run_id);
}

static int greet(struct redis_client *client, const struct str *args, size_t count,
                 redis_replied_fn *done)
{
    put_command(client, args, count);
    return send_command(client, done, client, NULL);
}

static int greet_auth(struct redis_client *client)
{
    struct str password = str_from(client->options.password); /* a user may have none */
    const struct str alone[] = {STR("AUTH"), password};
    const struct str named[] = {STR("AUTH"), str_from(client->options.username), password};
    return is_given(client->options.username) ? greet(client, named, 3, on_auth)
                                              : greet(client, alone, 2, on_auth);
}

static int greet_select(struct redis_client *client)
{
    char db[16];
    snprintf(db, sizeof db, "%u", client->options.db);
    const struct str args[] = {STR("SELECT"), str_from(db)};
    return greet(client, args, 2, on_select);
}

/* All at once; they are answered one after the other. */
static void shake_hands(struct redis_client *client)
{
    static const struct str name[] = {STR("CLIENT"), STR("SETNAME"), STR("aorta")};
    static const struct str ping[] = {STR("PING")};
    static const struct str info[] = {STR("INFO"), STR("server")};
    bool has_name = is_given(client->options.username) || is_given(client->options.password);
    int rc = has_name ? greet_auth(client) : 0;
    if (rc == 0 && client->options.db != 0)
        rc = greet_select(client);
    if (rc == 0)
        rc = greet(client, name, 3, NULL);
    if (rc == 0)
        rc = greet(client, ping, 1, on_ping);
    if (rc == 0)
        rc = greet(client, info, 2, on_info);
    if (rc < 0)
        give_up(client, "out of memory");
}

/* ---- An attempt ------------------------------------------------------------------------------ */

static void connect_to_next_address(struct redis_client *client)
{
    const struct redis_link_events events = {on_replied, on_closed, client};
    const struct net_address *address = &client->addresses[client->next_address++];
    char why[REDIS_WHY_BYTES];
    set_state(client, STATE_CONNECTING);
    client->link =
        redis_link_open(client->loop, address, client->options.command_timeout_ms, &events, why);
    if (client->link)
        shake_hands(client);
    else
        lost(client, why);
}

static void on_found(void *arg, const struct net_address *addresses, size_t count, const char *why)
{
    struct redis_client *client = arg;
    bool is_awaited = client->state == STATE_LOOKING_UP;
    client->lookup = NULL;
    client->next_address = 0;
    client->address_count = count;
    memcpy(client->addresses, addresses, count * sizeof *addresses);
    if (is_awaited && count > 0)
        connect_to_next_address(client);
    else if (is_awaited)
        lost(client, why);
}

static void look_up(struct redis_client *client)
{
    struct net_address *first = client->addresses;
    const char *host = client->options.host;
    uint16_t port = client->options.port;
    if (net_address_parse(first, str_from(host), port) == 0) {
        client->next_address = 0;
        client->address_count = 1;
        connect_to_next_address(client);
        return;
    }
    set_state(client, STATE_LOOKING_UP);
    if (client->lookup)
        return; /* of an earlier attempt, still under way: one at a time keeps a thread of the pool
                 */
    int rc = redis_lookup_start(client->loop, host, port, on_found, client, &client->lookup);
    if (rc < 0)
        lost(client, uv_strerror(rc));
}

static void begin_attempt(struct redis_client *client)
{
    set_timer(client, client->options.connect_timeout_ms);
    if (client->next_address < client->address_count)
        connect_to_next_address(client);
    else
        look_up(client);
}

/* ---- Deadlines ------------------------------------------------------------------------------- */

/* Commands are answered in order: only the oldest can be overdue. Then it gets a second look: when
 * it is this process that was held up, the loop has to write and to read first. */
static void check_oldest(struct redis_client *client)
{
    const struct redis_sent *oldest = redis_queue_first(&client->queue);
    if (!oldest)
        return; /* the next command sets the timer */
    uint64_t due_ms = oldest->sent_ms + client->options.command_timeout_ms;
    if (now_ms(client) < due_ms) {
        set_timer(client, due_ms - now_ms(client));
    } else if (client->suspected == client->answered + 1) {
        give_up(client, "a command was not answered in time");
    } else {
        client->suspected = client->answered + 1;
        set_timer(client, SECOND_LOOK_MS);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct redis_client *client = timer->data;
    switch (client->state) {
    case STATE_WAITING:
        begin_attempt(client);
        return;
    case STATE_LOOKING_UP:
        give_up(client, "the name was not found in time");
        return;
    case STATE_CONNECTING:
        give_up(client, "no connection in time");
        return;
    case STATE_UP:
        check_oldest(client);
        return;
    }
}

/* ---- Life ------------------------------------------------------------------------------------ */

struct redis_client *redis_client_new(struct net_loop *loop,
                                      const struct redis_client_options *options,
                                      const struct redis_client_events *events)
{
    struct redis_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    *client = (struct redis_client){.loop = loop,
                                    .options = *options,
                                    .events = *events,
                                    .wait_ms = FIRST_WAIT_MS};
    if (redis_queue_init(&client->queue, options->max_pending + HANDSHAKE_COMMANDS) < 0) {
        free(client);
        return NULL;
    }
    buf_init_heap(&client->command, SIZE_MAX / 2);
    (void)ratelimit_init(&client->log_limit, 1, LOG_BURST, uv_now(&loop->uv));
    uv_timer_init(&loop->uv, &client->timer);
    client->timer.data = client;
    begin_attempt(client);
    return client;
}

static void on_timer_closed(uv_handle_t *timer)
{
    struct redis_client *client = timer->data;
    redis_queue_fini(&client->queue);
    buf_fini(&client->command);
    free(client);
}

void redis_client_free(struct redis_client *client)
{
    if (!client)
        return;
    client->state = STATE_WAITING;
    if (client->link)
        redis_link_close(client->link);
    client->link = NULL;
    answer_all_by_none(client);
    if (client->lookup)
        redis_lookup_abandon(client->lookup);
    uv_close((uv_handle_t *)&client->timer, on_timer_closed);
}

bool redis_client_is_up(const struct redis_client *client)
{
    return client->state == STATE_UP && !client->is_giving_up;
}

size_t redis_client_pending(const struct redis_client *client)
{
    return client->state == STATE_CONNECTING ? 0 : client->queue.count;
}

uint32_t redis_client_lag_ms(const struct redis_client *client)
{
    const struct redis_sent *first = redis_queue_first(&client->queue);
    uint64_t lag_ms =
        first && now_ms(client) > first->sent_ms ? now_ms(client) - first->sent_ms : 0;
    return lag_ms < UINT32_MAX ? (uint32_t)lag_ms : UINT32_MAX;
}

void redis_client_reset(struct redis_client *client, const char *why)
{
    if (client->link)
        give_up(client, why);
}
