/* The load generator for HTTP: `load-http PORT`, told what to do line by line on stdin.
 *
 *   open COUNT                             opens connections and keeps them alive
 *   ask METHOD PATH SENT EXPECTED SECONDS  has each of them send a request, with a body of SENT bytes
 *                                          unless that is 0, wait for 200 and a body of EXPECTED
 *                                          bytes, and send the next. When PATH begins with a number
 *                                          the body has to be what `fill` makes
 *
 * Each is answered by one line of JSON on stdout. What an HTTP server must not do, and a connection
 * that it ends, is told on stderr and ends the program with status 1. The end of stdin ends it
 * with 0.
 */
#include "asking.h"

#define MAX_CLIENTS 1024
#define MAX_BODY (1024 * 1024)

struct client {
    int fd;
    char head[4096];  /* of the answer */
    size_t held;
    size_t remaining; /* of the answer's body */
    size_t sent;      /* of the request */
    uint64_t due;     /* when the request began; 0 when none is under way */
    bool waits;       /* for room to send */
};

static int poller, port;
static struct client clients[MAX_CLIENTS];
static unsigned client_count, under_way;
static uint8_t received[BUFFER_BYTES], body[MAX_BODY];
static uint8_t request[2048 + MAX_BODY];
static size_t request_size, expected;
static bool checks, issuing;

static void send_on(struct client *client) {
    size_t size = request_size - client->sent;
    ssize_t sent = send(client->fd, request + client->sent, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) die("load: send");
    if (sent > 0) client->sent += (size_t)sent;
    if (client->waits == (client->sent < request_size)) return;
    client->waits = client->sent < request_size;
    watch(poller, EPOLL_CTL_MOD, client->fd, EPOLLIN | (client->waits ? EPOLLOUT : 0), client);
}

static void begin_request(struct client *client) {
    client->due = now;
    client->held = client->sent = 0;
    under_way++;
    send_on(client);
}

static void end_answer(struct client *client) {
    if (client->waits) fail("a request was answered before all of it was sent");
    count_answer(client->due);
    client->due = 0;
    under_way--;
    if (issuing) begin_request(client);
}

static void take_body(struct client *client, const uint8_t *data, size_t size) {
    if (size > client->remaining) fail("an answer is too long");
    if (checks && memcmp(data, body + expected - client->remaining, size))
        fail("an answer's body differs from what the backend sends");
    if (!(client->remaining -= size)) end_answer(client);
}

static void take_head(struct client *client, const uint8_t *data, size_t size) {
    size_t before = client->held, room = sizeof client->head - 1 - before;
    size_t part = size < room ? size : room;
    memcpy(client->head + before, data, part);
    client->head[client->held += part] = '\0';
    char *end = strstr(client->head, "\r\n\r\n");
    if (!end && size < room) return;
    if (!end) fail("an answer's head is too long");
    end[2] = '\0';
    char *length = strcasestr(client->head, "\r\nContent-Length:");
    if (strncmp(client->head, "HTTP/1.1 200 ", 13) || !length ||
        strtoul(length + 17, NULL, 10) != expected)
        fail("a request was answered so:\n%s", client->head);
    client->remaining = expected;
    size_t used = (size_t)(end + 4 - client->head) - before;
    if (used < size) take_body(client, data + used, size - used);
}

static void on_readable(struct client *client) {
    ssize_t count = recv(client->fd, received, sizeof received, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) fail("the server ended a connection: %s", count ? strerror(errno) : "end");
    if (!client->due) fail("an answer that nobody asked for");
    (client->remaining ? take_body : take_head)(client, received, (size_t)count);
}

static void step(void) {
    struct epoll_event events[MAX_EVENTS];
    int ready = await_events(poller, events, 1000);
    for (int i = 0; i < ready; i++) {
        struct client *client = events[i].data.ptr;
        if (client->waits && events[i].events & EPOLLOUT) send_on(client);
        if (events[i].events & ~(uint32_t)EPOLLOUT) on_readable(client);
    }
}

static void open_clients(unsigned count) {
    struct sockaddr_in address = loopback(port);
    if (client_count + count > MAX_CLIENTS) fail("at most %d connections", MAX_CLIENTS);
    for (unsigned i = 0; i < count; i++) {
        struct client *client = clients + client_count++;
        client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (client->fd < 0) die("load: socket");
        if (connect(client->fd, (struct sockaddr *)&address, sizeof address) < 0)
            die("load: connect");
        no_delay(client->fd);
        fcntl(client->fd, F_SETFL, O_NONBLOCK);
        watch(poller, EPOLL_CTL_ADD, client->fd, EPOLLIN, client);
    }
    printf("{\"opened\": %u}\n", count);
}

static void prepare(const char *method, const char *path, size_t size) {
    char length[64] = "";
    if (size > MAX_BODY || expected > MAX_BODY) fail("a body has at most %d bytes", MAX_BODY);
    if (size) sprintf(length, "Content-Length: %zu\r\n", size);
    int head = sprintf((char *)request,
                       "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                       "User-Agent: Mozilla/5.0 (X11; Linux x86_64) benchmark\r\nAccept: */*\r\n"
                       "Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n"
                       "Referer: http://127.0.0.1:%d/\r\nCookie: session=0123456789abcdef\r\n"
                       "%s\r\n",
                       method, path, port, port, length);
    memcpy(request + head, body, size);
    request_size = (size_t)head + size;
    checks = path[1] >= '0' && path[1] <= '9';
}

static void ask(double seconds) {
    uint64_t start = begin_counting(), end = start + (uint64_t)(seconds * 1e9);
    issuing = true;
    for (unsigned i = 0; i < client_count; i++) begin_request(clients + i);
    while (now < end) step();
    issuing = false;
    while (under_way) step();
    printf("{\"answers\": %lu, \"seconds\": %.6f, \"p50_us\": %lu, \"p99_us\": %lu}\n", answers,
           (double)(latest - start) / 1e9, percentile_us(0.50), percentile_us(0.99));
}

int main(int count, char **arguments) {
    char line[256], method[16], path[64];
    unsigned number;
    size_t size;
    double seconds;
    if (count != 2) {
        fprintf(stderr, "usage: load-http PORT\n");
        return 2;
    }
    port = atoi(arguments[1]);
    poller = epoll_create1(EPOLL_CLOEXEC);
    fill(body, sizeof body);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "open %u", &number) == 1) {
            open_clients(number);
        } else if (sscanf(line, "ask %15s %63s %zu %zu %lf", method, path, &size, &expected,
                          &seconds) == 5) {
            prepare(method, path, size);
            ask(seconds);
        } else {
            fail("not a command: %s", line);
        }
        fflush(stdout);
    }
    return 0;
}
