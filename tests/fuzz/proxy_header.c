/* A balancer's PROXY header, whole and in pieces. */
#include "transport/proxy_header.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header whole, part;
    char *copy = fuzz_copy((struct str){(const char *)data, size});
    enum proxy_header_result result = proxy_header_read((struct str){copy, size}, &whole);
    if (result == PROXY_HEADER_WHOLE) {
        char text[NET_ADDRESS_TEXT];
        FUZZ_CHECK(whole.total_bytes <= size && whole.total_bytes <= PROXY_HEADER_MAX_BYTES);
        if (whole.has_client)
            fuzz_touch(net_address_host_port(&whole.client, text));
    }
    if (result == PROXY_HEADER_MORE)
        FUZZ_CHECK(size < PROXY_HEADER_MAX_BYTES); /* or it would be waited for for ever */
    free(copy);

    /* What came first says the same, or that there is more to come. */
    size_t end = result == PROXY_HEADER_WHOLE ? whole.total_bytes : size;
    for (size_t n = 0; n < end && n < PROXY_HEADER_MAX_BYTES; n++) {
        copy = fuzz_copy((struct str){(const char *)data, n});
        enum proxy_header_result early = proxy_header_read((struct str){copy, n}, &part);
        free(copy);
        FUZZ_CHECK(early == PROXY_HEADER_MORE || (early == PROXY_HEADER_BAD && result == early));
        if (early == PROXY_HEADER_BAD)
            break;
    }
    return 0;
}
