/* What a Redis server sends, byte for byte. */
#include "fuzz.h"
#include "redis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    uint8_t how = fuzz_byte(&in);
    redis_try(fuzz_rest(&in), 1 + how / 2, how % 2);
    return 0;
}
