/* SIP over WebSocket: frames to messages, control frames, closing. */
#include "conn_pieces.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    conn_pieces_try(TRANSPORT_WS, UPGRADE_REQUEST, data, size);
    return 0;
}
