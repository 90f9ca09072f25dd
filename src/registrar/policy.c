/* The settings that requests are served by: the current ones, and older ones until the last request
 * that began with them has ended. */
#include "registrar_internal.h"
#include <errno.h>
#include <stdlib.h>

enum {
    REPLY_OWN_BYTES = 4096, /* of an answer: what is neither echoed nor a contact */
    CONTACT_LINE_BYTES = MAX_CONTACT_BYTES + MAX_INSTANCE_BYTES + 128,
};

/* Whatever was stored can be answered: everything of the request echoed, all contacts listed. */
static size_t longest_reply(const struct config *config)
{
    size_t contacts = (size_t)config->max_contacts + SIP_MAX_CONTACTS;
    return config->message_bytes + contacts * CONTACT_LINE_BYTES + REPLY_OWN_BYTES;
}

static int grow_reply_memory(struct registrar *r, const struct config *config)
{
    size_t bytes = longest_reply(config);
    if (bytes <= r->reply_bytes)
        return 0;
    char *memory = realloc(r->reply_memory, TRANSPORT_HEADROOM + bytes);
    if (!memory)
        return -ENOMEM;
    r->reply_memory = memory;
    r->reply_bytes = bytes;
    return 0;
}

void policy_free(struct policy *policy)
{
    struct policy **link = &policy->r->policies;
    while (*link != policy)
        link = &(*link)->next;
    *link = policy->next;
    callback_lanes_free(policy->lanes);
    settings_release(policy->settings);
    free(policy);
}

void policy_release(struct policy *policy)
{
    if (--policy->transactions == 0 && policy != policy->r->policy)
        policy_free(policy);
}

int registrar_set_settings(struct registrar *r, struct settings *settings)
{
    struct policy *policy = calloc(1, sizeof *policy);
    if (!policy)
        return -ENOMEM;
    *policy = (struct policy){.r = r, .settings = settings};
    policy->lanes = callback_lanes_new(settings->realms, r->deps.http, r->deps.workers);
    if (!policy->lanes || grow_reply_memory(r, settings->config) < 0) {
        callback_lanes_free(policy->lanes);
        free(policy);
        return -ENOMEM;
    }
    settings_hold(settings);
    struct policy *old = r->policy;
    policy->next = r->policies;
    r->policies = r->policy = policy;
    if (old && old->transactions == 0)
        policy_free(old);
    return 0;
}
