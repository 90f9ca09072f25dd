/* SIP over TCP: framing, keep-alives, what is refused. */
#include "conn_pieces.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    conn_pieces_try(TRANSPORT_TCP, STR_NONE, data, size);
    return 0;
}
