/* demo.h - the users of --demo: new passwords at each start. */
#ifndef AORTA_DEMO_H
#define AORTA_DEMO_H
#include <aorta/auth.h>
#include <aorta/web.h>

enum { DEMO_USERS = 2, DEMO_PASSWORD_TEXT = 13 };

struct demo {
    char password[DEMO_USERS][DEMO_PASSWORD_TEXT];
    struct web_demo_user user[DEMO_USERS]; /* points into this very struct: do not copy it */
};

/* Draws the passwords. 0, or a negative errno with a sentence in `error`. */
int demo_draw(struct demo *demo, struct buf *error);
/* The users with the passwords that were drawn. 0, or a negative errno with a sentence. */
int demo_make_users(const struct demo *demo, struct users **out, struct buf *error);
#endif
