/* A datagram that may be STUN. */
#include "transport/stun.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const from[] = {"192.0.2.1", "2001:db8::1"};
    struct fuzz_input in = {data, size};
    struct net_address remote;
    char reply[STUN_REPLY_BYTES];
    FUZZ_CHECK(net_address_parse(&remote, str_from(from[fuzz_byte(&in) % 2]), 0x1234) == 0);
    struct str datagram = {fuzz_copy(fuzz_rest(&in)), in.left};
    size_t n = stun_answer(datagram, &remote, reply);
    FUZZ_CHECK(n == 0 || n == (remote.any.sa_family == AF_INET6 ? 44 : 32));
    if (n > 0) {
        FUZZ_CHECK(stun_is_message(datagram));
        FUZZ_CHECK(memcmp(reply + 4, datagram.ptr + 4, 16) == 0); /* cookie and transaction */
        fuzz_touch((struct str){reply, n});
    }
    free((char *)datagram.ptr);
    return 0;
}
