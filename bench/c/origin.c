/* The HTTP backend: `origin PORT`. One thread, epoll, connections are kept alive.
 *
 * Answers /N with a body of N bytes, once the request's own body is there and is what `fill` makes.
 * Prints "ready" when it listens and runs until it is killed.
 */
#include "wire.h"

#define HEAD_BYTES 16384
#define MAX_BODY (1024 * 1024)
#define MAX_REPLIES 16

struct reply {
    size_t body, size;
    char *data;
};

struct peer {
    int fd;
    char head[HEAD_BYTES];
    size_t held;                /* of the head that is coming in */
    size_t body, expected;      /* bytes of the request's body: all, and those to come */
    const struct reply *reply;  /* to that request */
    size_t sent;                /* of the reply */
    bool sends;                 /* waits for room; nothing is read meanwhile */
};

static int poller;
static uint8_t shared[BUFFER_BYTES], bytes[MAX_BODY];
static struct reply replies[MAX_REPLIES];
static int reply_count;

/* Every reply of one size is the same. */
static const struct reply *reply_of(size_t body) {
    for (int i = 0; i < reply_count; i++)
        if (replies[i].body == body) return replies + i;
    if (reply_count == MAX_REPLIES || body > MAX_BODY) return NULL;
    struct reply *reply = replies + reply_count++;
    reply->body = body;
    if (!(reply->data = malloc(256 + body))) die("malloc");
    int head = sprintf(reply->data,
                       "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nServer: origin\r\n"
                       "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n",
                       body);
    memcpy(reply->data + head, bytes, body);
    reply->size = (size_t)head + body;
    return reply;
}

static bool send_reply(struct peer *peer) {
    const struct reply *reply = peer->reply;
    ssize_t sent = send(peer->fd, reply->data + peer->sent, reply->size - peer->sent, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return false;
    if (sent > 0) peer->sent += (size_t)sent;
    if (peer->sends != (peer->sent < reply->size)) {
        peer->sends = peer->sent < reply->size;
        watch(poller, EPOLL_CTL_MOD, peer->fd, peer->sends ? EPOLLOUT : EPOLLIN, peer);
    }
    return true;
}

static bool refuse(const char *why) {
    fprintf(stderr, "origin: %s\n", why);
    return false;
}

static bool begin_request(struct peer *peer) {
    size_t answer;
    const char *length = strcasestr(peer->head, "\r\nContent-Length:");
    peer->body = peer->expected = length ? strtoul(length + 17, NULL, 10) : 0;
    if (strcasestr(peer->head, "\r\nTransfer-Encoding:")) return refuse("a body in chunks");
    if (peer->body > MAX_BODY) return refuse("a body is too long");
    if (sscanf(peer->head, "%*s /%zu HTTP/1.", &answer) != 1) return refuse("a path is no number");
    peer->held = peer->sent = 0;
    if (!(peer->reply = reply_of(answer))) return refuse("a reply of that size");
    return peer->expected || send_reply(peer);
}

/* The bytes of the head that are used; it is complete when a request has begun. */
static ssize_t take_head(struct peer *peer, const uint8_t *data, size_t size) {
    size_t before = peer->held, room = HEAD_BYTES - 1 - before, part = size < room ? size : room;
    memcpy(peer->head + before, data, part);
    peer->held += part;
    char *from = peer->head + (before > 3 ? before - 3 : 0);
    char *end = memmem(from, (size_t)(peer->head + peer->held - from), "\r\n\r\n", 4);
    if (!end) return size < room ? (ssize_t)size : -1;
    end[2] = '\0';
    size_t used = (size_t)(end + 4 - peer->head) - before;
    return begin_request(peer) ? (ssize_t)used : -1;
}

static ssize_t take_body(struct peer *peer, const uint8_t *data, size_t size) {
    size_t part = size < peer->expected ? size : peer->expected;
    if (memcmp(data, bytes + peer->body - peer->expected, part)) {
        refuse("a body differs from what was sent");
        return -1;
    }
    peer->expected -= part;
    return peer->expected || send_reply(peer) ? (ssize_t)part : -1;
}

static bool on_readable(struct peer *peer) {
    ssize_t count = recv(peer->fd, shared, sizeof shared, 0);
    if (count < 0) return errno == EAGAIN;
    for (ssize_t from = 0, used; from < count; from += used) {
        if (peer->sends) return refuse("a request comes before the last one is answered");
        size_t size = (size_t)(count - from);
        used = (peer->expected ? take_body : take_head)(peer, shared + from, size);
        if (used < 0) return false;
    }
    return count > 0;
}

static void accept_all(int listener) {
    int fd;
    while ((fd = accept_next(listener)) >= 0) {
        struct peer *peer = calloc(1, sizeof *peer);
        if (!peer) die("calloc");
        peer->fd = fd;
        watch(poller, EPOLL_CTL_ADD, fd, EPOLLIN, peer);
    }
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: origin PORT\n");
        return 2;
    }
    struct epoll_event events[MAX_EVENTS];
    int listener = listen_on(atoi(arguments[1]));
    fill(bytes, sizeof bytes);
    poller = epoll_create1(EPOLL_CLOEXEC);
    watch(poller, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int ready = next_events(poller, events, -1);
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < ready; i++) {
            struct peer *peer = events[i].data.ptr;
            if (!peer) {
                accept_all(listener);
            } else if (!(peer->sends ? send_reply(peer) : on_readable(peer))) {
                close(peer->fd);
                free(peer);
            }
        }
    }
}
