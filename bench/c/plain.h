/* A connection of the load generator without TLS. `tls.h` has the same functions. */
#ifndef PLAIN_H
#define PLAIN_H

#include "wire.h"

#define SCHEME "http"
#define HOST "127.0.0.1"

struct link {
    int fd;
};

static inline void link_setup(void) {}

static inline bool link_resume(void) { return false; }

static inline void link_begin(struct link *link, int fd) { link->fd = fd; }

/* Whether what comes before the first byte is done; else wait until the socket is readable. */
static inline bool link_secure(struct link *link) {
    (void)link;
    return true;
}

/* As send and recv: -1 with EAGAIN when the socket would block. */
static inline ssize_t link_send(struct link *link, const void *data, size_t size) {
    return send(link->fd, data, size, MSG_NOSIGNAL);
}

static inline ssize_t link_recv(struct link *link, void *data, size_t size) {
    return recv(link->fd, data, size, 0);
}

/* Whether there is something to read that no poll tells of. */
static inline bool link_pending(const struct link *link) {
    (void)link;
    return false;
}

static inline void link_close(struct link *link) { close(link->fd); }

#endif
