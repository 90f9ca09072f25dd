/* trace.h - SIP messages in the log, of whom the admin API has asked for. */
#ifndef AORTA_TRACE_H
#define AORTA_TRACE_H
#include "registrar_internal.h"

/* Is this request, and so its answer, to be logged? `is_parsed`: its To is known. */
bool trace_is_wanted(const struct transaction *txn, bool is_parsed);
void trace_request(const struct transaction *txn, struct str message);
void trace_answer(const struct transaction *txn, const struct net_address *to, struct str message);
#endif
