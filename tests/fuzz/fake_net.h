/* fake_net.h - the sockets below the transport, played by a target: these functions take the place
 * of src/net's, so that all of src/transport runs as it is. Bytes come in memory that ends where
 * they end. One world at a time. */
#ifndef FAKE_NET_H
#define FAKE_NET_H
#include <aorta/transport.h>

enum { FAKE_LISTENERS = 8 };

struct net_stream {
    struct net_stream *next;
    void *owner;
    bool is_closed, is_shut, wants_write;
    bool refuses_writes; /* its peer reads nothing */
    struct buf sent;     /* what was written; the target empties it */
    unsigned writes;
};

struct fake_net {
    struct net_stream *streams; /* of all, the closed ones too; the newest first */
    net_datagram_fn *on_datagram;
    void *datagram_arg;
    struct buf udp_sent; /* the last datagram; */
    unsigned udp_count;  /* how many */
    struct net_address udp_to;
    net_accepted_fn *accepted[FAKE_LISTENERS]; /* in the order of transport_listen() */
    void *accepted_arg[FAKE_LISTENERS];
    size_t listeners;
};
extern struct fake_net fake_net;

/* A client connects to a listener. NULL: it was refused. */
struct net_stream *fake_connect(size_t listener, const struct net_address *remote);
/* Bytes come on it, unless it is closed. */
void fake_receive(struct net_stream *s, struct str bytes);
/* Lets the connection write while it wants to. */
void fake_let_write(struct net_stream *s);
/* The peer closes. */
void fake_hang_up(struct net_stream *s);
void fake_datagram(const struct net_address *remote, struct str bytes);
/* Frees the connections that are closed; nobody may hold one of them any more. */
void fake_net_free_closed(void);
/* Ends all connections and forgets everything; before transport_free(). */
void fake_net_end(void);
#endif
