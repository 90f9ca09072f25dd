/* HTTP on the WebSocket ports: requests, bodies, the upgrade and what follows it. */
#include "conn_pieces.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    conn_pieces_try(TRANSPORT_WS, STR_NONE, data, size);
    return 0;
}
