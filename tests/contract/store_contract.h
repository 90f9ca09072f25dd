/* contract/store_contract.h - what every store does, whatever it keeps bindings in. */
#ifndef AORTA_STORE_CONTRACT_H
#define AORTA_STORE_CONTRACT_H
#include <aorta/store.h>

struct store_contract {
    const char *name;
    bool is_shared; /* outside of this process: expiry is others' business too, and a listing may
                       name an AOR twice */
    /* An empty store for two workers, with REGISTER_GRACE_MS of grace. */
    struct store *(*open)(void);
    /* Runs whatever brings answers until *is_done. NULL: answers come before the call returns. */
    void (*wait)(struct store *s, const bool *is_done);
    /* Runs until what was begun without waiting is done. NULL: nothing ever is. */
    void (*settle)(struct store *s);
    void (*close)(struct store *s); /* NULL: store_close() */
};

/* Runs all tests as one group of cmocka; returns the number that failed. */
int store_contract_run(const struct store_contract *backend);
#endif
