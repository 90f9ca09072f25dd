/* contract/register_steps.h - REGISTER requests as rows of a table, played one after the other on
 * whatever keeps bindings: the pure rules over an array, or a store. */
#ifndef AORTA_REGISTER_STEPS_H
#define AORTA_REGISTER_STEPS_H
#include <aorta/binding.h>

/* One row. They leave out what is usual, of which compilers need not warn; and clang-format 14
 * cannot align rows of different lengths as long as it sees their braces. */
#define STEP(...)   \
    {               \
        __VA_ARGS__ \
    }
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

struct register_step {
    uint64_t at_s; /* after REGISTER_EPOCH_MS */
    const char *call_id;
    uint32_t cseq;
    const char *headers; /* lines that end in \n: Contact, Expires, Supported, Path, more Vias */
    enum binding_verdict verdict;
    const char *bindings; /* of the 200: "sip:a@h=600 sip:b@h=60", URI and remaining seconds */
    const char *why;

    /* Zero means usual. */
    const char *aor;    /* a@example.com */
    bool is_stranger;   /* else he has just proved who he is */
    bool is_proof_away; /* and nobody can say any more who is */
    bool is_nat;
    conn_id conn;     /* given: over WSS; else over UDP */
    uint16_t port;    /* of the source, 5060 */
    uint32_t room;    /* most bindings of the domain; no limit */
    uint32_t limit_s; /* the authenticator's; none */
    uint32_t brief_s; /* with 423: Min-Expires */
};

enum { REGISTER_GRACE_MS = 10000 };
#define REGISTER_EPOCH_MS UINT64_C(1795000000000) /* when step time begins */

/* What came of one request; the text of `bindings` lives in the arena. */
struct register_result {
    int error;
    enum binding_verdict verdict;
    uint32_t min_expires_s;
    const struct binding *bindings;
    size_t count, own_count;
};
typedef struct register_result register_apply_fn(void *arg, const struct binding_request *request,
                                                 struct arena *arena);

/* The defaults of SPEC section 2, as far as the rules look at them. */
struct config register_config(void);
/* A whole REGISTER of a step, parsed by sip_parse(); everything lives in `arena`. */
const struct sip_request *register_request(struct arena *arena, const struct register_step *step);
struct binding_request register_binding_request(const struct config *config,
                                                const struct register_step *step,
                                                const struct sip_request *sip);
/* Writes what `bindings` of a step holds. */
void register_put_bindings(struct buf *b, const struct binding *bindings, size_t count,
                           uint64_t now_ms);
/* Plays all steps; fails the test at the first that goes otherwise. */
void register_steps_play(const struct config *config, const struct register_step *steps,
                         size_t count, register_apply_fn *apply, void *arg);
#define REGISTER_STEPS_PLAY(config, steps, apply, arg) \
    register_steps_play((config), (steps), sizeof(steps) / sizeof *(steps), (apply), (arg))
#endif
