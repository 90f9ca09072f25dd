#include "demo.h"
#include <aorta/net.h>

static const char *const demo_aors[DEMO_USERS] = {"alice@localhost", "bob@localhost"};

/* Sixty bits, in letters that are hard to mistake when read aloud. */
static int draw_password(char password[DEMO_PASSWORD_TEXT])
{
    static const char letters[32] = "abcdefghijkmnpqrstuvwxyz23456789";
    uint8_t random[DEMO_PASSWORD_TEXT - 1];
    int rc = net_random(random, sizeof random);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < sizeof random; i++)
        password[i] = letters[random[i] % 32];
    password[sizeof random] = 0;
    return 0;
}

int demo_draw(struct demo *demo, struct buf *error)
{
    for (int i = 0; i < DEMO_USERS; i++) {
        int rc = draw_password(demo->password[i]);
        if (rc < 0) {
            buf_put_text(error, "no random numbers to be had");
            return rc;
        }
        demo->user[i] = (struct web_demo_user){demo_aors[i], demo->password[i]};
    }
    return 0;
}

int demo_make_users(const struct demo *demo, struct users **out, struct buf *error)
{
    char memory[256];
    struct buf json;
    buf_init_fixed(&json, memory, sizeof memory);
    for (int i = 0; i < DEMO_USERS; i++)
        buf_printf(&json, "%s\"%s\":{\"password\":\"%s\"}", i == 0 ? "{" : ",", demo_aors[i],
                   demo->password[i]);
    buf_put_char(&json, '}');
    return users_parse("demo users", buf_str(&json), out, error);
}
