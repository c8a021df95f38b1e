/* The echo backend: `echo PORT`. One thread, epoll; sends every message back whole, and a compressed
 * one as it came: it agrees to permessage-deflate only without a context on either side.
 *
 * Prints "ready" when it listens and runs until it is killed.
 */
#include "wire.h"

#include "accept_key.h"

#define AGREED                                                                                     \
    "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; "                   \
    "server_no_context_takeover\r\n"

struct buffer {
    uint8_t *data;
    size_t size, room;
};

struct peer {
    int fd;
    bool open, closing;
    struct buffer in;  /* an incomplete request head or frame */
    struct buffer out; /* what the socket did not take */
    size_t sent;       /* of `out` */
};

static int poller;
static uint8_t shared[BUFFER_BYTES];

static void reserve(struct buffer *buffer, size_t room) {
    if (buffer->room >= room) return;
    buffer->data = realloc(buffer->data, room);
    buffer->room = room;
    if (!buffer->data) die("realloc");
}

static void append(struct buffer *buffer, const uint8_t *data, size_t size) {
    reserve(buffer, buffer->size + size);
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

static void drop(struct peer *peer) {
    close(peer->fd);
    free(peer->in.data);
    free(peer->out.data);
    free(peer);
}

/* Send, and keep what does not go; nothing more is read until that is gone. */
static bool put(struct peer *peer, const uint8_t *data, size_t size) {
    ssize_t sent = send(peer->fd, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return false;
    if (sent < 0) sent = 0;
    if ((size_t)sent == size) return true;
    append(&peer->out, data + sent, size - (size_t)sent);
    watch(poller, EPOLL_CTL_MOD, peer->fd, EPOLLOUT, peer);
    return true;
}

/* Turn every whole frame into its echo, in place: an echo is four bytes shorter, for want of a
 * mask. Returns the bytes used, -1 when the peer is gone. */
static ssize_t echo_frames(struct peer *peer, uint8_t *data, size_t size) {
    size_t from = 0, to = 0;
    struct frame frame;
    while (!peer->closing && read_header(data + from, size - from, &frame) &&
           frame.length <= size - from - frame.head) {
        if (!frame.mask) {
            fprintf(stderr, "echo: a frame from a client has no mask\n");
            return -1;
        }
        uint8_t mask[4], opcode = frame.first & 0x0F;
        memcpy(mask, frame.mask, 4);
        if (opcode != PONG) {
            to += write_header(data + to, opcode == PING ? FIN | PONG : frame.first, frame.length, 0);
            unmask(data + to, data + from + frame.head, frame.length, mask);
            to += frame.length;
        }
        from += frame.head + frame.length;
        peer->closing = opcode == CLOSE;
    }
    return !to || put(peer, data, to) ? (ssize_t)from : -1;
}

/* Answer the handshake once its head is whole. Returns as `echo_frames` does. */
static ssize_t answer_handshake(struct peer *peer, uint8_t *data, size_t size) {
    static const char name[] = "\r\nsec-websocket-key:";
    char accept[ACCEPT_CHARS + 1], answer[256];
    uint8_t *end = memmem(data, size, "\r\n\r\n", 4);
    if (!end) return size < 16384 ? 0 : -1;
    *end = '\0';
    char *key = strcasestr((char *)data, name);
    if (key) key += strlen(name), key += strspn(key, " ");
    if (!key || strlen(key) < KEY_CHARS) return -1;
    accept_key(key, accept);
    bool offered = strcasestr((char *)data, "permessage-deflate");
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
                          accept, offered ? AGREED : "");
    peer->open = true;
    return put(peer, (uint8_t *)answer, (size_t)length) ? end + 4 - data : -1;
}

/* How large `in` has to be for the frame that it begins with. */
static size_t wanted_room(const struct buffer *in) {
    struct frame frame;
    size_t some = in->size + 65536;
    if (!read_header(in->data, in->size, &frame)) return some;
    size_t whole = frame.head + frame.length;
    return whole > some ? whole : some;
}

static bool on_readable(struct peer *peer) {
    struct buffer *in = &peer->in;
    uint8_t *data = shared;
    size_t room = sizeof shared, held = in->size;
    if (held) {
        reserve(in, wanted_room(in));
        data = in->data;
        room = in->room;
    }
    ssize_t count = recv(peer->fd, data + held, room - held, 0);
    if (count < 0 && errno == EAGAIN) return true;
    if (count <= 0) return false;

    size_t size = held + (size_t)count;
    ssize_t used = peer->open ? echo_frames(peer, data, size) : answer_handshake(peer, data, size);
    if (used < 0) return false;
    in->size = 0;
    if (data == shared)
        append(in, data + used, size - (size_t)used);
    else
        memmove(in->data, data + used, in->size = size - (size_t)used);
    return !peer->closing || peer->out.size;
}

static bool on_writable(struct peer *peer) {
    struct buffer *out = &peer->out;
    ssize_t sent = send(peer->fd, out->data + peer->sent, out->size - peer->sent, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    peer->sent += (size_t)sent;
    if (peer->sent < out->size) return true;
    out->size = peer->sent = 0;
    watch(poller, EPOLL_CTL_MOD, peer->fd, EPOLLIN, peer);
    return !peer->closing;
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
        fprintf(stderr, "usage: echo PORT\n");
        return 2;
    }
    struct epoll_event events[MAX_EVENTS];
    int listener = listen_on(atoi(arguments[1]));
    poller = epoll_create1(EPOLL_CLOEXEC);
    watch(poller, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int ready = next_events(poller, events, -1);
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < ready; i++) {
            struct peer *peer = events[i].data.ptr;
            if (!peer)
                accept_all(listener);
            else if (peer->out.size ? !on_writable(peer) : !on_readable(peer))
                drop(peer);
        }
    }
}
