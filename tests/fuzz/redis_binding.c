/* The JSON of a binding, as it stands in Redis. */
#include "fuzz.h"
#include "redis.h"
#include <aorta/buf.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf b;
    for (int is_jambonz = 0; is_jambonz < 2; is_jambonz++) {
        buf_init_heap(&b, 16 << 20);
        buf_put_text(&b, is_jambonz ? "" : "*2\r\n$24\r\nbinding:00000000deadbeef\r\n");
        buf_printf(&b, "$%zu\r\n", size);
        buf_put(&b, data, size);
        buf_put_text(&b, "\r\n");
        redis_try(buf_str(&b), SIZE_MAX, is_jambonz);
        buf_fini(&b);
    }
    return 0;
}
