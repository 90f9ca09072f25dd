#include "trim.h"

enum {
    QUIET_LOOKS = 60,  /* who comes back after an outage of the network has come by then */
    FEW_MESSAGES = 50, /* of one look */
    WORTH_IT = 500,    /* connections gone */
};

static bool is_quiet(const struct trim *trim, uint64_t connections, uint64_t messages)
{
    return messages - trim->messages <= FEW_MESSAGES && connections <= trim->connections;
}

bool trim_is_due(struct trim *trim, uint64_t connections, uint64_t messages)
{
    trim->quiet_looks = is_quiet(trim, connections, messages) ? trim->quiet_looks + 1 : 0;
    trim->connections = connections;
    trim->messages = messages;
    if (trim->most < connections)
        trim->most = connections;
    uint64_t gone = trim->most - connections;
    if (trim->quiet_looks < QUIET_LOOKS || gone < WORTH_IT || gone < trim->most / 2)
        return false;
    trim->most = connections;
    return true;
}
