/* The load generator: `load PORT`, told what to do line by line on stdin. `load-tls PORT`, which is
 * this with WITH_TLS, has its sessions over TLS.
 *
 *   open COUNT PARALLEL              opens sessions and keeps them
 *   echo SIZE IN_FLIGHT SECONDS      has every open session echo binary messages
 *   text                             from now on messages are text, of printable ASCII
 *   compressed HEX                   from now on sessions are opened with permessage-deflate, and
 *                                    every message is this compressed text, whatever its SIZE
 *   echoed                           tells the payload of an echo of it, as all of them were
 *   each SIZE PARALLEL               has every open session echo one message, PARALLEL at a time
 *   resume                           from now on TLS sessions are resumed by the newest ticket
 *   churn COUNT PARALLEL ENDING      opens and ends sessions: `close` has whole Closes both ways,
 *                                    `tcp` closes the connection as soon as the session is open
 *   crowd COUNT PARALLEL             opens sessions that say nothing, for `talk` to end
 *   talk SIZE EVERY_MS SECONDS       has every open session send a message at set times; meanwhile
 *                                    the crowd ends at once, by TCP alone
 *   flood FIRST FRAME                has one more session send FRAME (hex, unmasked) without end,
 *                                    behind FIRST (or -), during all commands that follow
 *
 * Each is answered by one line of JSON on stdout. Anything a WebSocket server must not do is
 * told on stderr and ends the program with status 1. The end of stdin ends it with 0.
 */
#ifdef WITH_TLS
#include "tls.h"
#else
#include "plain.h"
#endif

#include <sys/random.h>

#include "accept_key.h"
#include "asking.h"

#define MAX_SESSIONS 20000
#define MAX_IN_FLIGHT 64
#define LEAVING_AT_ONCE 64
#define FLOOD_BYTES (64 * 1024)
#define HELD_BYTES 2048
#define COMPRESSED 0x40
#define DEFLATE "permessage-deflate"
#define OFFER                                                                                      \
    "Sec-WebSocket-Extensions: " DEFLATE "; client_no_context_takeover; "                          \
    "server_no_context_takeover\r\n"

enum state { CONNECTING, SECURING, SHAKING, OPEN, CLOSING, FLOODING };

struct session {
    struct link link;
    enum state state;
    char head[HELD_BYTES]; /* of the answer to the handshake, then of a frame that was cut */
    size_t held;
    uint64_t remaining;           /* payload of the message that is coming in */
    uint64_t due[MAX_IN_FLIGHT];  /* when each message in flight was meant to go out, a ring */
    unsigned oldest, in_flight;
    unsigned owed;                /* messages that are still to be sent */
    unsigned frame;               /* of `wire`: the first of them */
    size_t sent;                  /* bytes of it that are on their way */
    bool waits;                   /* for room to send */
};

static int poller, port;
static struct session *sessions[MAX_SESSIONS];
static unsigned session_count;
static struct session *crowd[MAX_SESSIONS];
static unsigned crowd_size;
static char request[1024], key[KEY_CHARS + 1], expected_accept[ACCEPT_CHARS + 1];
static uint8_t space[HELD_BYTES + BUFFER_BYTES];
static uint8_t *const received = space + HELD_BYTES; /* what was held goes in front */

/* What is being done now */
static unsigned to_start, under_way, completed;
static bool churning, by_tcp, issuing;
static unsigned next_one; /* the session whose turn it is in `each`; none when it is the last */
static uint8_t *payload, *wire; /* the message; in_flight masked frames of it */
static size_t payload_size, frame_size;
static unsigned frame_count;
static uint8_t first_byte = FIN | BINARY;          /* of a message and of its echo */
static uint8_t compressed[HELD_BYTES];             /* the text that every message is, if any */
static size_t compressed_size;
static uint8_t *echo_payload, learnt[HELD_BYTES];  /* what an echo has to be */
static size_t echo_size;                           /* 0 until it is learnt */

/* Opening and closing */

static void start_session(struct session *session) {
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) die("load: socket");
    no_delay(fd);
    *session = (struct session){.state = CONNECTING};
    link_begin(&session->link, fd);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        die("load: connect");
    watch(poller, EPOLL_CTL_ADD, fd, EPOLLOUT, session);
    to_start--;
    under_way++;
}

static void shake(struct session *session) {
    size_t size = strlen(request);
    if (session->state == CONNECTING)
        watch(poller, EPOLL_CTL_MOD, session->link.fd, EPOLLIN, session);
    session->state = SECURING;
    if (!link_secure(&session->link)) return;
    if (link_send(&session->link, request, size) != (ssize_t)size) die("load: handshake");
    session->state = SHAKING;
}

/* A session has come as far as it should: the next one, in its place or in a new one. */
static void complete(struct session *session) {
    under_way--;
    completed++;
    if (!to_start) return;
    if (!churning) session = sessions[session_count++] = calloc(1, sizeof *session);
    start_session(session);
}

static void send_close(struct session *session) {
    uint8_t frame[8] = {FIN | CLOSE, MASKED | 2};
    uint8_t mask[4] = {1, 2, 3, 4}, code[2] = {1000 >> 8, 1000 & 0xFF};
    memcpy(frame + 2, mask, 4);
    unmask(frame + 6, code, 2, mask);
    if (link_send(&session->link, frame, sizeof frame) != sizeof frame) die("load: Close");
    session->state = CLOSING;
}

/* This and the next two read once. Whether there was something to read. */
static bool on_answer(struct session *session) {
    size_t room = sizeof session->head - 1 - session->held;
    ssize_t count = link_recv(&session->link, session->head + session->held, room);
    if (count < 0 && errno == EAGAIN) return false;
    if (count <= 0) fail("the connection ended before the handshake was answered");
    session->head[session->held += (size_t)count] = '\0';
    if (!strstr(session->head, "\r\n\r\n")) return true;
    if (strncmp(session->head, "HTTP/1.1 101 ", 13) || !strstr(session->head, expected_accept))
        fail("the handshake was answered so:\n%s", session->head);
    if (compressed_size && !strcasestr(session->head, DEFLATE))
        fail("compression was not agreed to:\n%s", session->head);
    session->state = OPEN;
    session->held = 0;
    if (churning && !by_tcp) {
        send_close(session);
        return true;
    }
    if (churning) link_close(&session->link);
    complete(session);
    return true;
}

/* Wait for our Close to come back, code and all, then for the end of the connection. */
static bool on_closing(struct session *session) {
    static const char echoed[] = {(char)(FIN | CLOSE), 2, 1000 >> 8, (char)(1000 & 0xFF)};
    size_t room = sizeof session->head - session->held;
    ssize_t count = link_recv(&session->link, session->head + session->held, room);
    if (count < 0 && errno == EAGAIN) return false;
    if (count < 0) die("load: after Close");
    session->held += (size_t)count;
    if (count) return true;
    if (session->held != sizeof echoed || memcmp(session->head, echoed, sizeof echoed))
        fail("a Close 1000 was not answered by one, but by %zu bytes", session->held);
    link_close(&session->link);
    complete(session);
    return true;
}

/* Echoing */

static unsigned min(unsigned one, unsigned other) { return one < other ? one : other; }

/* Send what is owed, as far as it goes, in one write. */
static void send_owed(struct session *session) {
    unsigned frames = min(session->owed, frame_count - session->frame);
    size_t size = frames * frame_size - session->sent;
    const uint8_t *from = wire + session->frame * frame_size + session->sent;
    ssize_t sent = link_send(&session->link, from, size);
    if (sent < 0 && errno != EAGAIN) die("load: send");
    if (sent > 0) {
        unsigned whole = (unsigned)((session->sent + (size_t)sent) / frame_size);
        session->owed -= whole;
        session->sent = (session->sent + (size_t)sent) % frame_size;
        session->frame = session->sent ? session->frame + whole : 0;
    }
    if (session->waits != (session->owed > 0)) {
        session->waits = session->owed > 0;
        uint32_t events = EPOLLIN | (session->waits ? EPOLLOUT : 0);
        watch(poller, EPOLL_CTL_MOD, session->link.fd, events, session);
    }
}

static void issue(struct session *session, uint64_t due) {
    if (session->in_flight == MAX_IN_FLIGHT)
        fail("a session waits for %d echoes at once", MAX_IN_FLIGHT);
    session->due[(session->oldest + session->in_flight++) % MAX_IN_FLIGHT] = due;
    session->owed++;
}

/* `each`: the next session's message. */
static void issue_next(void) {
    struct session *session = sessions[--next_one];
    issue(session, now);
    send_owed(session);
}

static void message_ended(struct session *session) {
    if (!session->in_flight) fail("an echo that nobody asked for");
    count_answer(session->due[session->oldest]);
    session->oldest = (session->oldest + 1) % MAX_IN_FLIGHT;
    session->in_flight--;
    if (issuing) issue(session, now);
    if (next_one) issue_next();
}

/* A proxy that reads messages may compress them in its own way, but each alike: what its first echo
 * is, all others have to be. Whether the frame is whole. */
static bool learn_echo(const struct frame *frame, const uint8_t *data, size_t size) {
    if (frame->head + frame->length > HELD_BYTES)
        fail("a compressed echo has %zu bytes", (size_t)frame->length);
    if (size < frame->head + frame->length) return false;
    memcpy(learnt, data + frame->head, echo_size = frame->length);
    return true;
}

/* The header of the next frame. Returns its size, 0 when it is not whole yet. */
static size_t begin_frame(struct session *session, const uint8_t *data, size_t size) {
    struct frame frame;
    if (!read_header(data, size, &frame)) return 0;
    uint8_t opcode = frame.first & 0x0F;
    if (frame.mask) fail("a frame from the server is masked");
    if (opcode == PING) {
        /* A proxy's own ping. No run is long enough for it to miss the pong. */
        return size < frame.head + frame.length ? 0 : frame.head + frame.length;
    }
    if (frame.first == first_byte && !echo_size && !learn_echo(&frame, data, size)) return 0;
    if (frame.first != first_byte || frame.length != echo_size)
        fail("an echo begins with 0x%02x and has %zu bytes", frame.first, (size_t)frame.length);
    session->remaining = frame.length;
    return frame.head;
}

static void take(struct session *session, const uint8_t *data, size_t size) {
    while (size) {
        if (!session->remaining) {
            size_t head = begin_frame(session, data, size);
            if (!head) break;
            data += head;
            size -= head;
        }
        size_t part = session->remaining < size ? session->remaining : size;
        if (memcmp(data, echo_payload + echo_size - session->remaining, part))
            fail("an echo differs from what was sent");
        data += part;
        size -= part;
        if (part && !(session->remaining -= part)) message_ended(session);
    }
    session->held = size;
    memcpy(session->head, data, size);
}

static bool on_echo(struct session *session) {
    uint8_t *start = received - session->held;
    memcpy(start, session->head, session->held);
    ssize_t count = link_recv(&session->link, received, BUFFER_BYTES);
    if (count < 0 && errno == EAGAIN) return false;
    if (count <= 0) fail("the server closed a session: %s", count ? strerror(errno) : "end");
    take(session, start, session->held + (size_t)count);
    return true;
}

/* Flooding */

static uint8_t flood[FLOOD_BYTES];
static size_t flood_size;
static uint64_t flooded;

/* Send on, and throw away what comes back. */
static void on_flood(struct session *session, uint32_t events) {
    if (events & EPOLLIN && link_recv(&session->link, received, BUFFER_BYTES) == 0)
        fail("the server ended the session that floods it");
    ssize_t sent = link_send(&session->link, flood + session->sent, flood_size - session->sent);
    if (sent < 0 && errno != EAGAIN) die("load: flood");
    if (sent < 0) return;
    flooded += (uint64_t)sent;
    session->sent = (session->sent + (size_t)sent) % flood_size;
}

static bool on_readable(struct session *session) {
    if (session->state == SHAKING) return on_answer(session);
    return session->state == CLOSING ? on_closing(session) : on_echo(session);
}

static void on_event(struct session *session, uint32_t events) {
    if (session->state == CONNECTING || session->state == SECURING) {
        shake(session);
    } else if (session->state == FLOODING) {
        on_flood(session, events);
    } else {
        if (events & ~(uint32_t)EPOLLOUT)
            while (on_readable(session) && link_pending(&session->link)) continue;
        if (session->owed && (!session->waits || events & EPOLLOUT)) send_owed(session);
    }
}

static void step(int timeout_ms) {
    struct epoll_event events[MAX_EVENTS];
    int ready = await_events(poller, events, timeout_ms);
    for (int i = 0; i < ready; i++) on_event(events[i].data.ptr, events[i].events);
}

/* The commands */

static void bring_up(unsigned count, unsigned parallel) {
    unsigned keep = session_count;
    uint64_t start = now = progress = clock_ns();
    if (keep + count > MAX_SESSIONS) fail("at most %d sessions", MAX_SESSIONS);
    to_start = count;
    completed = 0;
    while (to_start && under_way < parallel) {
        struct session *session = calloc(1, sizeof *session);
        start_session(sessions[session_count++] = session);
    }
    while (under_way) step(1000);
    if (churning) {
        while (session_count > keep) free(sessions[--session_count]);
    }
    printf("{\"%s\": %u, \"seconds\": %.6f}\n", churning ? "churned" : "opened", completed,
           (double)(clock_ns() - start) / 1e9);
}

static void open_sessions(unsigned count, unsigned parallel) {
    churning = false;
    bring_up(count, parallel);
}

static void churn(unsigned count, unsigned parallel, const char *ending) {
    by_tcp = !strcmp(ending, "tcp");
    if (!by_tcp && strcmp(ending, "close")) fail("sessions end by `close` or by `tcp`");
    churning = true;
    bring_up(count, parallel);
}

static void gather_crowd(unsigned count, unsigned parallel) {
    if (crowd_size) fail("there is a crowd already");
    open_sessions(count, parallel);
    session_count -= crowd_size = count;
    memcpy(crowd, sessions + session_count, count * sizeof *crowd);
}

/* End some of the crowd. All of it in one go would keep the others' echoes waiting here. */
static void let_some_leave(void) {
    for (int i = 0; crowd_size && i < LEAVING_AT_ONCE; i++) {
        struct session *session = crowd[--crowd_size];
        link_close(&session->link);
        free(session);
    }
}

static void fill_text(uint8_t *to, size_t size) {
    for (size_t i = 0; i < size; i++) to[i] = (uint8_t)(' ' + (i * 31 + i / 251) % 95);
}

/* What every message has, and its echo. */
static void choose_payload(size_t size) {
    free(payload);
    payload = malloc(payload_size = size);
    if (!payload) die("malloc");
    if (compressed_size)
        memcpy(payload, compressed, size);
    else if ((first_byte & 0x0F) == TEXT)
        fill_text(payload, size);
    else
        fill(payload, size);
    if (compressed_size) return;
    echo_payload = payload;
    echo_size = size;
}

/* The bytes to send: every frame with a mask of its own. */
static void prepare(size_t size, unsigned in_flight) {
    choose_payload(size);
    free(wire);
    wire = malloc(in_flight * (size + MAX_HEADER));
    if (!wire) die("malloc");
    uint8_t *end = wire;
    for (unsigned i = 0; i < in_flight; i++) {
        uint8_t mask[4];
        if (getrandom(mask, 4, 0) != 4) die("getrandom");
        end += write_header(end, first_byte, size, MASKED);
        memcpy(end, mask, 4);
        unmask(end + 4, payload, size, mask);
        end += 4 + size;
    }
    frame_count = in_flight;
    frame_size = (size_t)(end - wire) / in_flight;
}

static uint64_t begin(size_t size, unsigned in_flight) {
    if (in_flight > MAX_IN_FLIGHT) fail("at most %d messages in flight", MAX_IN_FLIGHT);
    if (!size) fail("a message has at least one byte");
    prepare(compressed_size ? compressed_size : size, in_flight);
    flooded = 0;
    return begin_counting();
}

/* Wait for the echoes that are still to come, and tell how long all of them took. */
static void finish(uint64_t start) {
    for (unsigned i = 0; i < session_count; i++)
        while (sessions[i]->in_flight) step(1000);
    printf("{\"echoes\": %lu, \"seconds\": %.6f, \"p50_us\": %lu, \"p99_us\": %lu, "
           "\"worst_us\": %lu, \"flooded\": %lu}\n",
           answers, (double)(latest - start) / 1e9, percentile_us(0.50), percentile_us(0.99),
           worst_us, flooded);
}

static void echo(size_t size, unsigned in_flight, double seconds) {
    uint64_t start = begin(size, in_flight), end = start + (uint64_t)(seconds * 1e9);
    issuing = true;
    for (unsigned i = 0; i < session_count; i++) {
        for (unsigned j = 0; j < in_flight; j++) issue(sessions[i], now);
        send_owed(sessions[i]);
    }
    while (now < end) step(1000);
    issuing = false;
    finish(start);
}

static void each(size_t size, unsigned parallel) {
    uint64_t start = begin(size, 1);
    next_one = session_count;
    for (unsigned i = 0; i < parallel && next_one; i++) issue_next();
    while (next_one) step(1000);
    finish(start);
}

/* The sessions' turns are spread evenly. A message counts from when it was due, however late the
 * one before it was answered: whoever holds up everything is not spared the messages meanwhile. */
static void talk(size_t size, double every_ms, double seconds) {
    if (!session_count) fail("no session is open");
    uint64_t start = begin(size, MAX_IN_FLIGHT), end = start + (uint64_t)(seconds * 1e9);
    uint64_t gap = (uint64_t)(every_ms * 1e6) / session_count, due = start;
    if (!gap) fail("too many messages at once");
    for (unsigned next = 0; due < end; step(0)) {
        let_some_leave();
        for (; due <= now && due < end; due += gap, next = (next + 1) % session_count) {
            issue(sessions[next], due);
            send_owed(sessions[next]);
        }
    }
    while (crowd_size) let_some_leave();
    finish(start);
}

/* A frame from hex, with a mask of zeros, which leaves its payload as it is. */
static size_t parse_frame(const char *hex, uint8_t *to) {
    size_t size = 0, length = strlen(hex) / 2;
    for (size_t i = 0; i < length; i++) {
        sscanf(hex + 2 * i, "%2hhx", to + size++);
        if (i != 1) continue;
        to[1] |= MASKED;
        memset(to + 2, 0, 4);
        size += 4;
    }
    return size;
}

static void start_flood(const char *first, const char *frame) {
    uint8_t once[64];
    open_sessions(1, 1);
    struct session *session = sessions[--session_count];
    size_t size = strcmp(first, "-") ? parse_frame(first, once) : 0;
    if (size && link_send(&session->link, once, size) != (ssize_t)size) die("load: flood");
    size = parse_frame(frame, once);
    for (flood_size = 0; flood_size + size <= FLOOD_BYTES; flood_size += size)
        memcpy(flood + flood_size, once, size);
    session->state = FLOODING;
    watch(poller, EPOLL_CTL_MOD, session->link.fd, EPOLLIN | EPOLLOUT, session);
}

static void resume(void) {
    if (!link_resume()) fail("there is no ticket to resume a TLS session by");
    puts("{}");
}

static void greet(const char *extensions) {
    uint8_t nonce[16];
    const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (getrandom(nonce, sizeof nonce, 0) != sizeof nonce) die("getrandom");
    for (int i = 0; i < 21; i++) key[i] = alphabet[nonce[i % 16] & 63];
    strcpy(key + 21, "A==");
    accept_key(key, expected_accept);
    snprintf(request, sizeof request,
             "GET /ws HTTP/1.1\r\nHost: " HOST ":%d\r\nConnection: Upgrade\r\n"
             "Pragma: no-cache\r\nCache-Control: no-cache\r\n"
             "User-Agent: Mozilla/5.0 (X11; Linux x86_64) benchmark\r\nUpgrade: websocket\r\n"
             "Origin: " SCHEME "://" HOST ":%d\r\nSec-WebSocket-Version: 13\r\n"
             "Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n"
             "Cookie: session=0123456789abcdef\r\nSec-WebSocket-Key: %s\r\n%s\r\n",
             port, port, key, extensions);
}

static void compress_all(const char *hex) {
    size_t size = strspn(hex, "0123456789abcdef") / 2;
    if (!size || size > HELD_BYTES) fail("a compressed text has 1 to %d bytes", HELD_BYTES);
    for (size_t i = 0; i < size; i++) sscanf(hex + 2 * i, "%2hhx", compressed + i);
    compressed_size = size;
    first_byte = FIN | COMPRESSED | TEXT;
    echo_payload = learnt;
    echo_size = 0;
    greet(OFFER);
    puts("{}");
}

static void tell_echo(void) {
    printf("{\"payload\": \"");
    for (size_t i = 0; i < echo_size; i++) printf("%02x", echo_payload[i]);
    puts("\"}");
}

int main(int count, char **arguments) {
    char line[2 * HELD_BYTES + 64], first[32], frame[32];
    unsigned number, parallel;
    size_t size;
    double seconds, every_ms;
    if (count != 2) {
        fprintf(stderr, "usage: load PORT\n");
        return 2;
    }
    port = atoi(arguments[1]);
    poller = epoll_create1(EPOLL_CLOEXEC);
    link_setup();
    greet("");
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "open %u %u", &number, &parallel) == 2) {
            open_sessions(number, parallel);
        } else if (sscanf(line, "churn %u %u %31s", &number, &parallel, first) == 3) {
            churn(number, parallel, first);
        } else if (sscanf(line, "crowd %u %u", &number, &parallel) == 2) {
            gather_crowd(number, parallel);
        } else if (sscanf(line, "talk %zu %lf %lf", &size, &every_ms, &seconds) == 3) {
            talk(size, every_ms, seconds);
        } else if (sscanf(line, "echo %zu %u %lf", &size, &number, &seconds) == 3) {
            echo(size, number, seconds);
        } else if (sscanf(line, "each %zu %u", &size, &parallel) == 2) {
            each(size, parallel);
        } else if (!strcmp(line, "resume\n")) {
            resume();
        } else if (!strcmp(line, "text\n")) {
            first_byte = FIN | TEXT;
            puts("{}");
        } else if (!strncmp(line, "compressed ", 11)) {
            compress_all(line + 11);
        } else if (!strcmp(line, "echoed\n")) {
            tell_echo();
        } else if (sscanf(line, "flood %31s %31s", first, frame) == 2) {
            start_flood(first, frame);
        } else {
            fail("not a command: %s", line);
        }
        fflush(stdout);
    }
    return 0;
}
