#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "contract/register_steps.h"
#include <cmocka.h>
#include <stdlib.h>

/* The bindings of one AOR in an array, changed by what the rules decide. */
struct array {
    struct binding b[64];
    size_t count;
    struct arena text;
};

static struct binding keep(struct array *a, struct binding b)
{
    b.contact = arena_copy(&a->text, b.contact);
    b.instance = arena_copy(&a->text, b.instance);
    b.call_id = arena_copy(&a->text, b.call_id);
    b.path = arena_copy(&a->text, b.path);
    b.user_agent = arena_copy(&a->text, b.user_agent);
    return b;
}

static void leave_out_expired(struct array *a, uint64_t now_ms)
{
    size_t n = 0;
    for (size_t i = 0; i < a->count; i++)
        if (a->b[i].expires_ms + REGISTER_GRACE_MS > now_ms)
            a->b[n++] = a->b[i];
    a->count = n;
}

static void check_decision(const struct array *a, const struct binding_decision *d)
{
    bool is_change = d->add_count > 0;
    for (size_t k = 0; k < a->count; k++)
        is_change = is_change || d->drop[k];
    assert_int_equal(d->is_change, is_change);
    if (d->verdict != BINDING_OK)
        assert_false(is_change);
    for (size_t i = 0; i < d->add_count; i++)
        if (d->replaces[i] != BINDING_NO_CONTACT)
            assert_true(d->drop[d->replaces[i]]);
}

static struct register_result apply(void *arg, const struct binding_request *request,
                                    struct arena *arena)
{
    struct array *a = arg;
    struct binding_decision d;
    leave_out_expired(a, request->now_ms);
    int rc = binding_rules_decide(a->b, a->count, request, arena, &d);
    if (rc < 0)
        return (struct register_result){.error = rc};
    check_decision(a, &d);
    if (d.verdict != BINDING_OK)
        return (struct register_result){.verdict = d.verdict, .min_expires_s = d.min_expires_s};

    struct binding now[64];
    size_t n = 0;
    for (size_t i = 0; i < d.add_count; i++)
        now[n++] = keep(a, d.add[i]);
    for (size_t k = 0; k < a->count; k++)
        if (!d.drop[k])
            now[n++] = a->b[k];
    memcpy(a->b, now, sizeof now);
    a->count = n;
    return (struct register_result){.bindings = a->b, .count = n, .own_count = d.add_count};
}

static int setup(void **state)
{
    struct array *a = calloc(1, sizeof *a);
    *state = a;
    return a ? arena_init(&a->text, 4096, 1 << 20) : -1;
}

static int teardown(void **state)
{
    struct array *a = *state;
    arena_fini(&a->text);
    free(a);
    return 0;
}

#define A "Contact: <sip:a@h>\n"
#define B "Contact: <sip:b@h>\n"
#define OUTBOUND "Supported: outbound\n"

static void grants_time(void **state)
{
    struct config config = register_config();
    config.default_expires_s = 1800;
    static const struct register_step step[] = {
        STEP(0, "1", 1, A, BINDING_OK, "sip:a@h=1800", "nothing asked: the default"),
        STEP(0, "1", 2, A "Expires: 700\n", BINDING_OK, "sip:a@h=700", "the header"),
        STEP(0, "1", 3, "Contact: <sip:a@h>;expires=800\nExpires: 700\n", BINDING_OK, "sip:a@h=800",
             "the parameter before the header"),
        STEP(0, "1", 4, A "Expires: 3601\n", BINDING_OK, "sip:a@h=3600", "the most"),
        STEP(0, "1", 5, A "Expires: 4294967295\n", BINDING_OK, "sip:a@h=3600",
             "the most of numbers"),
        STEP(0, "1", 6, A "Expires: 60\n", BINDING_OK, "sip:a@h=60", "the least"),
        STEP(0, "1", 7, A "Expires: 59\n", BINDING_INTERVAL_BRIEF, "", "below it", .brief_s = 60),
        STEP(0, "1", 8, "Contact: <sip:a@h>;expires=600, <sip:b@h>;expires=5\n",
             BINDING_INTERVAL_BRIEF, "", "one of two is enough", .brief_s = 60),
        STEP(0, "1", 9, "", BINDING_OK, "sip:a@h=60", "so nothing has changed"),
        STEP(0, "1", 10, A "Expires: 600\n", BINDING_OK, "sip:a@h=30", "behind NAT",
             .is_nat = true),
        STEP(0, "1", 11, A "Expires: 30\n", BINDING_OK, "sip:a@h=30", "less than minExpires then",
             .is_nat = true),
        STEP(0, "1", 12, A "Expires: 29\n", BINDING_INTERVAL_BRIEF, "", "but not less than that",
             .is_nat = true, .brief_s = 30),
        STEP(0, "1", 13, A "Expires: 600\n", BINDING_OK, "sip:a@h=300", "the authenticator's bound",
             .limit_s = 300),
        STEP(0, "1", 14, A "Expires: 600\n", BINDING_OK, "sip:a@h=20",
             "may be below minExpires, and that is no 423", .limit_s = 20),
        STEP(0, "1", 15, A "Expires: 600\n", BINDING_OK, "sip:a@h=600", "and never lengthens",
             .limit_s = 900),
        STEP(0, "1", 16, A "Expires: 600\n", BINDING_OK, "sip:a@h=10", "the smallest bound wins",
             .limit_s = 10, .is_nat = true),
    };
    REGISTER_STEPS_PLAY(&config, step, apply, *state);
}

static void likes_no_less_than_it_accepts(void **state)
{
    struct config config = register_config();
    config.nat_expires_s = 7200;
    config.max_expires_s = 9000;
    static const struct register_step step[] = {
        STEP(0, "1", 1, A, BINDING_OK, "sip:a@h=7200", "default below the bound", .is_nat = true),
    };
    REGISTER_STEPS_PLAY(&config, step, apply, *state);
}

static void removes(void **state)
{
    struct config config = register_config();
    static const struct register_step step[] = {
        STEP(0, "1", 1, A, BINDING_OK, "sip:a@h=3600", "one"),
        STEP(0, "2", 1, B, BINDING_OK, "sip:b@h=3600 sip:a@h=3600", "two"),
        STEP(1, "2", 2, "Contact: <sip:c@h>;expires=0\n", BINDING_OK, "sip:b@h=3599 sip:a@h=3599",
             "an unknown one is no fault"),
        STEP(1, "2", 3, B "Expires: 0\n", BINDING_OK, "sip:a@h=3599", "by the header"),
        STEP(2, "1", 2, "Contact: <sip:a@h>;expires=0, <sip:c@h>\n", BINDING_OK, "sip:c@h=3600",
             "one out, one in"),
        STEP(2, "3", 1, "Contact: *\n", BINDING_BAD_WILDCARD, "", "* without Expires"),
        STEP(2, "3", 1, "Contact: *\nExpires: 60\n", BINDING_BAD_WILDCARD, "", "* with time"),
        STEP(2, "1", 2, "Contact: *\nExpires: 0\n", BINDING_OUT_OF_ORDER, "", "* from the past"),
        STEP(2, "1", 3, "", BINDING_OK, "sip:c@h=3600", "all still there"),
        STEP(2, "1", 3, "Contact: *\nExpires: 0\n", BINDING_OK, "", "* in order"),
        STEP(2, "1", 3, "Contact: *\nExpires: 0\n", BINDING_OK, "", "* of nothing"),
    };
    REGISTER_STEPS_PLAY(&config, step, apply, *state);
}

static void keeps_order(void **state)
{
    struct config config = register_config();
    static const struct register_step step[] = {
        STEP(0, "1", 5, A, BINDING_OK, "sip:a@h=3600", "first"),
        STEP(1, "1", 5, A, BINDING_OUT_OF_ORDER, "", "again"),
        STEP(1, "1", 4, A, BINDING_OUT_OF_ORDER, "", "older"),
        STEP(1, "1", 4, A "Expires: 0\n", BINDING_OUT_OF_ORDER, "", "an older removal"),
        STEP(1, "1", 4, "Contact: <sip:b@h>, <sip:a@h>\n", BINDING_OUT_OF_ORDER, "", "one of two"),
        STEP(1, "1", 4, "Contact: <sip:b@h>\n", BINDING_OK, "sip:b@h=3600 sip:a@h=3599",
             "another binding has its own order"),
        STEP(2, "2", 1, A, BINDING_OK, "sip:a@h=3600 sip:b@h=3599", "another Call-ID: a restart"),
        STEP(3, "1", 1, A, BINDING_OK, "sip:a@h=3600 sip:b@h=3598", "only the last one counts"),
        STEP(3614, "1", 1, A, BINDING_OK, "sip:a@h=3600", "nor does what has expired"),
    };
    REGISTER_STEPS_PLAY(&config, step, apply, *state);
}

static void tells_bindings_apart_by_uri(void **state)
{
    struct config config = register_config();
    static const struct register_step step[] = {
        STEP(0, "1", 1, "Contact: <sip:a@h;transport=tcp>\n", BINDING_OK,
             "sip:a@h;transport=tcp=3600", "with a transport"),
        STEP(1, "1", 2, "Contact: <sip:a@H;transport=TCP;x=1>\n", BINDING_OK,
             "sip:a@H;transport=TCP;x=1=3600", "RFC 3261 19.1.4: host and values in any case"),
        STEP(2, "1", 3, A, BINDING_OK, "sip:a@h=3600 sip:a@H;transport=TCP;x=1=3599",
             "without transport is another"),
        STEP(3, "1", 4, "Contact: <sip:A@h>\n", BINDING_OK,
             "sip:A@h=3600 sip:a@h=3599 sip:a@H;transport=TCP;x=1=3598", "users have a case"),
        STEP(4, "1", 5, "Contact: <sip:%61@h>\n", BINDING_OK,
             "sip:%61@h=3600 sip:A@h=3599 sip:a@H;transport=TCP;x=1=3597",
             "escapes are seen through"),
        STEP(5, "1", 6, "Contact: <sip:A@h>;expires=60, <sip:q@h>, <sip:A@h>;expires=70\n",
             BINDING_OK, "sip:q@h=3600 sip:A@h=70 sip:%61@h=3599 sip:a@H;transport=TCP;x=1=3596",
             "twice in a request: the last one counts"),
        STEP(6, "1", 7, "Contact: <sip:A@h>, <sip:a@h>;expires=0, <sip:A@h>;expires=0\n",
             BINDING_OK, "sip:q@h=3599 sip:a@H;transport=TCP;x=1=3595", "even if it removes"),
    };
    REGISTER_STEPS_PLAY(&config, step, apply, *state);
}

#define PAGE(user, uuid) "Contact: <sip:" user "@h>;+sip.instance=\"<urn:uuid:" uuid ">\""

static void tells_bindings_apart_by_instance(void **state)
{
    struct config config = register_config();
    static const struct register_step step[] = {
        STEP(0, "1", 1, PAGE("a", "1a") "\n", BINDING_OK, "sip:a@h=3600", "a page"),
        STEP(1, "2", 1, PAGE("b", "1A") "\n", BINDING_OK, "sip:b@h=3600",
             "reloaded: new URI and Call-ID, instance in any case"),
        STEP(2, "3", 1, PAGE("b", "2") "\n", BINDING_OK, "sip:b@h=3600 sip:b@h=3599",
             "another instance, though the URI is the same"),
        STEP(3, "4", 1, B, BINDING_OK, "sip:b@h=3600",
             "without an instance the URI decides, here for both"),
        STEP(4, "5", 1, PAGE("b", "1a") "\n", BINDING_OK, "sip:b@h=3600",
             "and the other way round"),
        STEP(5, "5", 2, PAGE("x", "1a") ";expires=0\n", BINDING_OK, "", "removed by instance"),
    };
    REGISTER_STEPS_PLAY(&config, step, apply, *state);
}

static void shares_an_uri_among_instances(void **state)
{
    struct config config = register_config();
    static const struct register_step step[] = {
        STEP(0, "1", 1, A, BINDING_OK, "sip:a@h=3600", "no instance"),
        STEP(1, "2", 1, PAGE("a", "1") "\n" PAGE("a", "2") "\n", BINDING_OK,
             "sip:a@h=3600 sip:a@h=3600", "two instances, of which one renews it"),
        STEP(2, "2", 2, PAGE("a", "1") ";expires=0\n" PAGE("a", "2") "\n", BINDING_OK,
             "sip:a@h=3600", "each for itself"),
    };
    REGISTER_STEPS_PLAY(&config, step, apply, *state);
}

static void tells_flows_apart_by_reg_id(void **state)
{
    struct config config = register_config();
    static const struct register_step step[] = {
        STEP(0, "1", 1, PAGE("a", "1") ";reg-id=1\n" OUTBOUND, BINDING_OK, "sip:a@h=3600",
             "a flow"),
        STEP(1, "2", 1, PAGE("b", "1") ";reg-id=2\n" OUTBOUND, BINDING_OK,
             "sip:b@h=3600 sip:a@h=3599", "a second one"),
        STEP(2, "3", 1, PAGE("c", "1") ";reg-id=1\n" OUTBOUND, BINDING_OK,
             "sip:c@h=3600 sip:b@h=3599", "the first, from a new place"),
        STEP(3, "4", 1, PAGE("d", "1") ";reg-id=3\n", BINDING_OK, "sip:d@h=3600",
             "no Supported: the instance alone counts, and stands for both"),
        STEP(4, "5", 1, PAGE("e", "1") ";reg-id=3\n" OUTBOUND, BINDING_OK,
             "sip:e@h=3600 sip:d@h=3599", "that one is no flow"),
        STEP(5, "6", 1, "Contact: <sip:f@h>;reg-id=1\n" OUTBOUND, BINDING_OK,
             "sip:f@h=3600 sip:e@h=3599 sip:d@h=3598", "reg-id without instance is ignored"),
        STEP(6, "6", 2, "Contact: <sip:f@h>;reg-id=2\n" OUTBOUND, BINDING_OK,
             "sip:f@h=3600 sip:e@h=3598 sip:d@h=3597", "so the URI decides"),
    };
    REGISTER_STEPS_PLAY(&config, step, apply, *state);
}

static void asks_the_first_hop_for_outbound(void **state)
{
#define FLOW PAGE("a", "1") ";reg-id=1\n" OUTBOUND
#define HOP "Via: SIP/2.0/UDP p.example.com;branch=z9hG4bK2\n"
    struct config config = register_config();
    static const struct register_step step[] = {
        STEP(0, "1", 1, FLOW, BINDING_OK, "sip:a@h=3600", "no proxy"),
        STEP(0, "1", 2, HOP FLOW, BINDING_NO_OUTBOUND_PATH, "", "a proxy without Path"),
        STEP(0, "1", 2, HOP FLOW "Path: <sip:p.example.com;lr>\n", BINDING_NO_OUTBOUND_PATH, "",
             "without ob"),
        STEP(0, "1", 2, HOP FLOW "Path: <sip:p.example.com;lr>;ob\n", BINDING_NO_OUTBOUND_PATH, "",
             "ob belongs to the URI"),
        STEP(0, "1", 2, HOP FLOW "Path: <sip:p.example.com;lr;OB>\n", BINDING_OK, "sip:a@h=3600",
             "with ob"),
        STEP(0, "1", 3, HOP FLOW "Path: \"<sip:x\\\">\" <sip:p.example.com;ob>;x\n", BINDING_OK,
             "sip:a@h=3600", "behind a display name"),
        STEP(0, "1", 4, HOP FLOW "Path: <sip:q.example.com;lr>, <sip:p.example.com;lr;ob>\n",
             BINDING_NO_OUTBOUND_PATH, "", "the first value counts"),
        STEP(0, "1", 4, HOP PAGE("a", "1") ";reg-id=1\n", BINDING_OK, "sip:a@h=3600",
             "not asked for outbound"),
    };
    REGISTER_STEPS_PLAY(&config, step, apply, *state);
}

static void makes_room(void **state)
{
    struct config config = register_config();
    config.max_contacts = 3;
    static const struct register_step step[] = {
        STEP(0, "1", 1, "Contact: <sip:a@h>, <sip:b@h>, <sip:c@h>, <sip:d@h>\n", BINDING_TOO_MANY,
             "", "more than there will ever be"),
        STEP(0, "1", 1, A, BINDING_OK, "sip:a@h=3600", "1"),
        STEP(1, "2", 1, B, BINDING_OK, "sip:b@h=3600 sip:a@h=3599", "2"),
        STEP(2, "3", 1, "Contact: <sip:c@h>\n", BINDING_OK,
             "sip:c@h=3600 sip:b@h=3599 sip:a@h=3598", "3"),
        STEP(3, "1", 2, A, BINDING_OK, "sip:a@h=3600 sip:c@h=3599 sip:b@h=3598", "a refresh"),
        STEP(4, "4", 1, "Contact: <sip:d@h>\n", BINDING_OK,
             "sip:d@h=3600 sip:a@h=3599 sip:c@h=3598", "the oldest goes"),
        STEP(5, "4", 2, "Contact: <sip:c@h>, <sip:e@h>\n", BINDING_OK,
             "sip:c@h=3600 sip:e@h=3600 sip:d@h=3599", "never one that is renewed just now"),
        STEP(6, "4", 3, "Contact: <sip:c@h>;expires=0, <sip:f@h>\n", BINDING_OK,
             "sip:f@h=3600 sip:e@h=3599 sip:d@h=3598", "what is removed makes room"),
    };
    REGISTER_STEPS_PLAY(&config, step, apply, *state);

    ((struct array *)*state)->b[1].is_flow_dead = true;
    static const struct register_step dead[] = {
        STEP(7, "4", 5, "Contact: <sip:g@h>\n", BINDING_OK,
             "sip:g@h=3600 sip:f@h=3599 sip:d@h=3597", "dead flows go before old ones"),
    };
    REGISTER_STEPS_PLAY(&config, dead, apply, *state);

    config.max_contacts = 1;
    static const struct register_step lowered[] = {
        STEP(8, "5", 1, "Contact: <sip:d@h>, <sip:f@h>\n", BINDING_OK,
             "sip:d@h=3600 sip:f@h=3600 sip:g@h=3599", "renewals never count"),
        STEP(9, "5", 2, "Contact: <sip:h@h>\n", BINDING_OK, "sip:h@h=3600", "all go that must"),
    };
    REGISTER_STEPS_PLAY(&config, lowered, apply, *state);
}

static void rejects_the_overflow(void **state)
{
    struct config config = register_config();
    config.max_contacts = 2;
    config.overflow = OVERFLOW_REJECT;
    static const struct register_step step[] = {
        STEP(0, "1", 1, "Contact: <sip:a@h>, <sip:b@h>\n", BINDING_OK, "sip:a@h=3600 sip:b@h=3600",
             "full"),
        STEP(1, "2", 1, "Contact: <sip:c@h>\n", BINDING_TOO_MANY, "", "no more"),
        STEP(1, "2", 1, A, BINDING_OK, "sip:a@h=3600 sip:b@h=3599", "a refresh"),
        STEP(2, "2", 2, "Contact: <sip:c@h>, <sip:a@h>;expires=0\n", BINDING_OK,
             "sip:c@h=3600 sip:b@h=3598", "a swap"),
        STEP(3613, "3", 1, A, BINDING_OK, "sip:a@h=3600", "room after the grace of both"),
    };
    REGISTER_STEPS_PLAY(&config, step, apply, *state);
}

/* Before they are compared with each other. */
static void refuses_a_crowd_at_once(void **state)
{
    struct config config = register_config();
    config.max_contacts = 1;
    static const struct register_step step[] = {
        STEP(0, "1", 1, "Contact: <sip:a@h>, <sip:b@h>;expires=0, <sip:c@h>;expires=0\n",
             BINDING_TOO_MANY, "", "one may be added, and one removed that is gone already"),
        STEP(0, "1", 1, "Contact: <sip:a@h>, <sip:b@h>;expires=0\n", BINDING_OK, "sip:a@h=3600",
             "so"),
        STEP(1, "1", 2, "Contact: <sip:b@h>, <sip:a@h>;expires=0, <sip:c@h>;expires=0\n",
             BINDING_OK, "sip:b@h=3600", "and one more, for the one that is there"),
        STEP(2, "1", 3, "Contact: <sip:b@h>, <sip:b@h>, <sip:b@h>, <sip:b@h>\n", BINDING_TOO_MANY,
             "", "not one by many names either"),
    };
    REGISTER_STEPS_PLAY(&config, step, apply, *state);
}

#define REFRESH "Contact: <sip:a@h>;q=0.5;expires=600\nPath: <sip:p@h>\n"

/* Over UDP anybody may have sent what needed no proof, in the name of the client. */
static void forged_refreshes_shut_nobody_out(void **state)
{
    struct config config = register_config();
    config.refresh_cache_s = 900;
    static const struct register_step step[] = {
        STEP(0, "1", 1, REFRESH, BINDING_OK, "sip:a@h=600", "proven"),
        STEP(1, "1", 2000000000, REFRESH, BINDING_OK, "sip:a@h=600", "forged", .is_stranger = true),
        STEP(2, "1", 2, REFRESH, BINDING_NEEDS_AUTH, "", "is not the next one",
             .is_stranger = true),
        STEP(2, "1", 2, REFRESH, BINDING_OK, "sip:a@h=600", "but whose it is may go on"),
        STEP(3, "1", 2, REFRESH, BINDING_OUT_OF_ORDER, "", "in his own order"),
        STEP(4, "1", 2000000001, REFRESH, BINDING_OK, "sip:a@h=600", "forged", .is_stranger = true),
        STEP(3, "1", 3, "Contact: *\nExpires: 0\n", BINDING_OUT_OF_ORDER, "",
             "unless it came before, and waited for the callback"),
        STEP(5, "1", 3, "Contact: *\nExpires: 0\n", BINDING_OK, "", "and leave"),
        STEP(6, "2", 1, REFRESH, BINDING_OK, "sip:a@h=600", "over WSS", .conn = 7),
        STEP(7, "2", 9, REFRESH, BINDING_OK, "sip:a@h=600", "nobody else is on his connection",
             .conn = 7, .is_stranger = true),
        STEP(8, "2", 5, REFRESH, BINDING_OUT_OF_ORDER, "", "so that one counts", .conn = 7),
    };
    REGISTER_STEPS_PLAY(&config, step, apply, *state);
}

static void lets_pure_refreshes_pass_unproven(void **state)
{
    struct config config = register_config();
    config.refresh_cache_s = 900;
    const struct register_step step[] = {
        STEP(0, "1", 1, REFRESH, BINDING_NEEDS_AUTH, "", "nothing known yet", .is_stranger = true),
        STEP(0, "1", 1, REFRESH, BINDING_OK, "sip:a@h=600", "proven"),
        STEP(300, "1", 2, REFRESH, BINDING_OK, "sip:a@h=600", "again", .is_stranger = true),
        STEP(899, "1", 3, REFRESH, BINDING_OK, "sip:a@h=600", "and again", .is_stranger = true),
        STEP(900, "1", 4, REFRESH, BINDING_NEEDS_AUTH, "", "the proof is too old now",
             .is_stranger = true),
        STEP(900, "1", 5, REFRESH, BINDING_OK, "sip:a@h=600", "a new proof"),
        STEP(901, "1", 6, REFRESH, BINDING_OK, "sip:a@h=600", "counts again", .is_stranger = true),
        STEP(900, "1", 7, REFRESH, BINDING_OK, "sip:a@h=600", "clocks of threads differ",
             .is_stranger = true),
        STEP(902, "1", 7, REFRESH, BINDING_NEEDS_AUTH, "", "out of order", .is_stranger = true),
        STEP(902, "2", 8, REFRESH, BINDING_NEEDS_AUTH, "", "another Call-ID", .is_stranger = true),
        STEP(902, "1", 8, REFRESH, BINDING_NEEDS_AUTH, "", "another port", .is_stranger = true,
             .port = 5061),
        STEP(902, "1", 8, REFRESH, BINDING_NEEDS_AUTH, "", "another transport", .is_stranger = true,
             .conn = 7),
        STEP(902, "1", 8, REFRESH, BINDING_NEEDS_AUTH, "", "NAT all of a sudden",
             .is_stranger = true, .is_nat = true),
        STEP(902, "1", 8, "", BINDING_NEEDS_AUTH, "", "a fetch", .is_stranger = true),
        STEP(902, "1", 8, "Contact: *\nExpires: 0\n", BINDING_NEEDS_AUTH, "", "removal of all",
             .is_stranger = true),
        STEP(902, "1", 8, "Contact: *\n", BINDING_NEEDS_AUTH, "", "even a bad one",
             .is_stranger = true),
        STEP(902, "1", 8, "Contact: <sip:a@h>;q=0.5;expires=0\nPath: <sip:p@h>\n",
             BINDING_NEEDS_AUTH, "", "removal", .is_stranger = true),
        STEP(902, "1", 8, "Contact: <sip:a@h>;q=0.5;expires=601\nPath: <sip:p@h>\n",
             BINDING_NEEDS_AUTH, "", "longer", .is_stranger = true),
        STEP(902, "1", 8, "Contact: <sip:a@h>;q=0.5;expires=9\nPath: <sip:p@h>\n",
             BINDING_NEEDS_AUTH, "", "too brief", .is_stranger = true),
        STEP(902, "1", 8, "Contact: <sip:a@h>;q=0.6;expires=600\nPath: <sip:p@h>\n",
             BINDING_NEEDS_AUTH, "", "another q", .is_stranger = true),
        STEP(902, "1", 8, "Contact: <sip:a@h>;q=0.5;expires=600\n", BINDING_NEEDS_AUTH, "",
             "another path", .is_stranger = true),
        STEP(902, "1", 8, "Contact: <sip:a@H>;q=0.5;expires=600\nPath: <sip:p@h>\n",
             BINDING_NEEDS_AUTH, "", "an equal URI of other bytes", .is_stranger = true),
        STEP(902, "1", 8, PAGE("a", "1") ";q=0.5;expires=600\nPath: <sip:p@h>\n",
             BINDING_NEEDS_AUTH, "", "with an instance", .is_stranger = true),
        STEP(902, "1", 8, REFRESH B, BINDING_NEEDS_AUTH, "", "a second contact",
             .is_stranger = true),
        STEP(902, "1", 8, REFRESH REFRESH, BINDING_NEEDS_AUTH, "", "twice the same",
             .is_stranger = true),
        STEP(902, "1", 8, REFRESH, BINDING_OK, "sip:a@h=600", "still possible after all that",
             .is_stranger = true),
    };
    REGISTER_STEPS_PLAY(&config, step, apply, *state);

    config.refresh_cache = false;
    const struct register_step off[] = {
        STEP(903, "1", 9, REFRESH, BINDING_NEEDS_AUTH, "", "switched off", .is_stranger = true),
    };
    REGISTER_STEPS_PLAY(&config, off, apply, *state);
}

static void keeps_the_bound_of_the_authenticator(void **state)
{
    struct config config = register_config();
    static const struct register_step step[] = {
        STEP(0, "1", 1, REFRESH, BINDING_OK, "sip:a@h=90", "bounded", .limit_s = 90),
        STEP(50, "1", 2, REFRESH, BINDING_OK, "sip:a@h=90", "likewise", .is_stranger = true),
        STEP(99, "1", 3, REFRESH, BINDING_OK, "sip:a@h=90", "again", .is_stranger = true),
        STEP(99, "1", 4, "Contact: <sip:a@h>;q=0.5;expires=60\nPath: <sip:p@h>\n",
             BINDING_NEEDS_AUTH, "", "shorter", .is_stranger = true),
        STEP(99, "1", 5, REFRESH, BINDING_OK, "sip:a@h=600", "proven anew, without a bound"),
        STEP(100, "1", 6, REFRESH, BINDING_OK, "sip:a@h=600", "none", .is_stranger = true),
    };
    REGISTER_STEPS_PLAY(&config, step, apply, *state);
}

static void lets_several_contacts_pass_on_their_connection(void **state)
{
    struct config config = register_config();
    static const struct register_step step[] = {
        STEP(0, "1", 1, A B, BINDING_OK, "sip:a@h=3600 sip:b@h=3600", "two", .conn = 7),
        STEP(1, "1", 2, B A, BINDING_OK, "sip:b@h=3600 sip:a@h=3600", "both again", .conn = 7,
             .is_stranger = true),
        STEP(2, "1", 3, A, BINDING_OK, "sip:a@h=3600 sip:b@h=3599", "one from another port",
             .conn = 7, .port = 9, .is_stranger = true),
        STEP(3, "1", 4, A, BINDING_NEEDS_AUTH, "", "another connection", .conn = 8,
             .is_stranger = true),
    };
    REGISTER_STEPS_PLAY(&config, step, apply, *state);
}

static void lets_known_refreshes_pass_while_proof_is_away(void **state)
{
    struct config config = register_config();
    config.refresh_cache = false;
    const struct register_step step[] = {
        STEP(0, "1", 1, REFRESH, BINDING_NEEDS_AUTH, "", "never proven", .is_stranger = true,
             .is_proof_away = true),
        STEP(0, "1", 1, REFRESH, BINDING_OK, "sip:a@h=600", "proven"),
        STEP(500, "1", 2, REFRESH, BINDING_NEEDS_AUTH, "", "no cache", .is_stranger = true),
        STEP(500, "1", 2, REFRESH, BINDING_OK, "sip:a@h=600", "known", .is_stranger = true,
             .is_proof_away = true),
        STEP(501, "1", 3, B, BINDING_NEEDS_AUTH, "", "another contact", .is_stranger = true,
             .is_proof_away = true),
        STEP(501, "1", 3, REFRESH, BINDING_NEEDS_AUTH, "", "another port", .is_stranger = true,
             .is_proof_away = true, .port = 9),
        STEP(501, "1", 3, "Contact: <sip:a@h>\nExpires: 0\n", BINDING_NEEDS_AUTH, "", "removal",
             .is_stranger = true, .is_proof_away = true),
    };
    REGISTER_STEPS_PLAY(&config, step, apply, *state);
}

struct decided {
    const char *headers;
    bool is_refresh;
    const char *why;
    bool is_stranger;
    uint16_t port;
};

static void knows_a_refresh_and_keeps_its_grant(void **state)
{
    static const struct decided row[] = {
        STEP("Contact: <sip:a@h>\n", true, "the same, proven anew"),
        STEP("Contact: <sip:a@h>\n", true, "the same, by the cache", .is_stranger = true),
        STEP("Contact: <sip:a@h>;expires=70\n", true, "for another time"),
        STEP("Contact: <sip:a@h>;expires=0\n", false, "removal"),
        STEP("Contact: <sip:a@h>, <sip:b@h>\n", false, "and a new one"),
        STEP("Contact: <sip:a@h>;q=0.5\n", false, "another q"),
        STEP("Contact: <sip:a@h>\n", false, "from another port", .port = 9),
        STEP("", false, "a fetch"),
    };
    struct array *a = *state;
    struct config config = register_config();
    const struct register_step first = {0, "1", 1, "Contact: <sip:a@h>\n"};
    struct binding_request request =
        register_binding_request(&config, &first, register_request(&a->text, &first));
    request.grant = STR("{\"x\":1}");
    struct binding_decision d;
    assert_int_equal(binding_rules_decide(NULL, 0, &request, &a->text, &d), 0);
    assert_int_equal(d.add_count, 1);
    assert_false(d.is_refresh);
    struct binding current = d.add[0];
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const struct register_step next = {.at_s = 9,
                                           .call_id = "1",
                                           .cseq = 2,
                                           .headers = row[i].headers,
                                           .is_stranger = row[i].is_stranger,
                                           .port = row[i].port};
        request = register_binding_request(&config, &next, register_request(&a->text, &next));
        assert_int_equal(binding_rules_decide(&current, 1, &request, &a->text, &d), 0);
        if (d.verdict != BINDING_OK || d.is_refresh != row[i].is_refresh)
            fail_msg("%s: verdict %d, refresh %d", row[i].why, (int)d.verdict, d.is_refresh);
        if (row[i].is_stranger)
            assert_true(str_eq(d.add[0].grant, current.grant)); /* by whoever proved him then */
        else if (d.add_count > 0)
            assert_true(str_is_empty(d.add[0].grant)); /* this proof granted none */
    }
}

static void keeps_everything_a_request_says(void **state)
{
    struct config config = register_config();
    const struct register_step step = {
        5,
        "call",
        9,
        PAGE("a", "1") ";reg-id=4;q=0.25\n" OUTBOUND
                       "Path: <sip:p1@h>\nPath: <sip:p2@h>\nUser-Agent: Phone 1\n",
        BINDING_OK,
        .conn = 7,
        .is_nat = true};
    struct array *a = *state;
    struct binding_request request =
        register_binding_request(&config, &step, register_request(&a->text, &step));
    struct register_result result = apply(a, &request, &a->text);
    assert_int_equal(result.count, 1);
    const struct binding *b = result.bindings;
    assert_true(str_eq(b->contact, STR("sip:a@h")));
    assert_true(str_eq(b->instance, STR("\"<urn:uuid:1>\"")));
    assert_true(str_eq(b->path, STR("<sip:p1@h>, <sip:p2@h>")));
    assert_true(str_eq(b->user_agent, STR("Phone 1")));
    assert_true(str_eq(b->call_id, STR("call")));
    assert_int_equal(b->cseq, 9);
    assert_int_equal(b->reg_id, 4);
    assert_int_equal(b->q_milli, 250);
    assert_true(b->is_outbound && b->is_nat && !b->is_flow_dead);
    assert_int_equal(b->protocol, TRANSPORT_WSS);
    assert_int_equal(b->conn, 7);
    assert_true(net_address_same(&b->source, &request.source));
    assert_int_equal(b->refreshed_ms, REGISTER_EPOCH_MS + 5000);
    assert_int_equal(b->authenticated_ms, REGISTER_EPOCH_MS + 5000);
    assert_int_equal(b->expires_ms, REGISTER_EPOCH_MS + 5000 + 30000);
}

static void survives_without_memory(void **state)
{
    struct config config = register_config();
    const struct register_step step = {0, "1", 1, REFRESH, BINDING_OK};
    struct array *a = *state;
    struct arena tight;
    assert_int_equal(arena_init(&tight, 16, 16), 0);
    struct binding_request request =
        register_binding_request(&config, &step, register_request(&a->text, &step));
    struct binding_decision d;
    assert_true(binding_rules_decide(NULL, 0, &request, &tight, &d) < 0);
    arena_fini(&tight);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(grants_time),
        TEST(likes_no_less_than_it_accepts),
        TEST(removes),
        TEST(keeps_order),
        TEST(tells_bindings_apart_by_uri),
        TEST(tells_bindings_apart_by_instance),
        TEST(shares_an_uri_among_instances),
        TEST(tells_flows_apart_by_reg_id),
        TEST(asks_the_first_hop_for_outbound),
        TEST(makes_room),
        TEST(rejects_the_overflow),
        TEST(refuses_a_crowd_at_once),
        TEST(forged_refreshes_shut_nobody_out),
        TEST(lets_pure_refreshes_pass_unproven),
        TEST(keeps_the_bound_of_the_authenticator),
        TEST(lets_several_contacts_pass_on_their_connection),
        TEST(lets_known_refreshes_pass_while_proof_is_away),
        TEST(knows_a_refresh_and_keeps_its_grant),
        TEST(keeps_everything_a_request_says),
        TEST(survives_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
