/* What backends and load generators share: sockets, what is sent, and frame headers. */
#ifndef WIRE_H
#define WIRE_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (256 * 1024)
#define MAX_EVENTS 1024
#define SPIN_NS 2000000ULL
#define MAX_HEADER 14

enum { TEXT = 0x1, BINARY = 0x2, CLOSE = 0x8, PING = 0x9, PONG = 0xA, FIN = 0x80, MASKED = 0x80 };

static inline void die(const char *what) {
    perror(what);
    exit(1);
}

static inline struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static inline int listen_on(int port) {
    struct sockaddr_in address = loopback(port);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) die("backend: bind");
    if (listen(listener, 4096) < 0) die("backend: listen");
    return listener;
}

/* The bytes of every message and body. */
static inline void fill(uint8_t *to, size_t size) {
    for (size_t i = 0; i < size; i++) to[i] = (uint8_t)(i * 31 + i / 251);
}

static inline void no_delay(int fd) {
    int on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) die("TCP_NODELAY");
}

/* A connection that waits, or -1 when none does. */
static inline int accept_next(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        no_delay(fd);
    else if (errno != EAGAIN && errno != ECONNABORTED)
        die("accept");
    return fd;
}

static inline void watch(int epoll, int operation, int fd, uint32_t events, void *owner) {
    struct epoll_event event = {.events = events, .data.ptr = owner};
    if (epoll_ctl(epoll, operation, fd, &event) < 0) die("epoll_ctl");
}

static inline uint64_t clock_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000ULL + (uint64_t)time.tv_nsec;
}

/* epoll_wait that sleeps only after SPIN_NS without an event; with a timeout of 0 it returns after
 * one look, having left its core to others once. A send to a sleeping process on
 * another core has to wake it, which costs the sender microseconds. Over a network no proxy pays
 * for that, and here the slower ones would pay most, since they leave the load time to sleep. */
static inline int next_events(int epoll, struct epoll_event *events, int timeout_ms) {
    uint64_t idle_since = 0;
    for (;;) {
        int ready = epoll_wait(epoll, events, MAX_EVENTS, 0);
        if (ready) return ready;
        uint64_t now = clock_ns();
        if (!idle_since) idle_since = now;
        if (now - idle_since > SPIN_NS) return epoll_wait(epoll, events, MAX_EVENTS, timeout_ms);
        sched_yield(); /* to the other one of load generator and backend */
        if (!timeout_ms) return 0;
    }
}

/* A frame's header (RFC 6455 §5.2). `mask` points into the bytes, NULL without one. */
struct frame {
    uint8_t first;
    size_t head;
    uint64_t length;
    const uint8_t *mask;
};

/* False when the bytes end before the header does. */
static inline bool read_header(const uint8_t *data, size_t size, struct frame *frame) {
    if (size < 2) return false;
    size_t extended = (data[1] & 0x7F) == 126 ? 2 : (data[1] & 0x7F) == 127 ? 8 : 0;
    bool masked = data[1] & MASKED;
    frame->first = data[0];
    frame->head = 2 + extended + (masked ? 4 : 0);
    if (size < frame->head) return false;
    frame->length = extended ? 0 : data[1] & 0x7F;
    for (size_t i = 0; i < extended; i++) frame->length = frame->length << 8 | data[2 + i];
    frame->mask = masked ? data + 2 + extended : NULL;
    return true;
}

/* Write a header without its mask; return its size. */
static inline size_t write_header(uint8_t *to, uint8_t first, uint64_t length, uint8_t masked) {
    size_t extended = length < 126 ? 0 : length < 65536 ? 2 : 8;
    to[0] = first;
    to[1] = masked | (uint8_t)(extended == 0 ? length : extended == 2 ? 126 : 127);
    for (size_t i = 0; i < extended; i++) to[2 + i] = (uint8_t)(length >> 8 * (extended - 1 - i));
    return 2 + extended;
}

/* XOR with the mask, eight bytes at a time; `to` may lie before `from` in one buffer. */
static inline void unmask(uint8_t *to, const uint8_t *from, size_t size, const uint8_t mask[4]) {
    uint8_t twice[8];
    uint64_t wide, word;
    memcpy(twice, mask, 4);
    memcpy(twice + 4, mask, 4);
    memcpy(&wide, twice, 8);
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        memcpy(&word, from + i, 8);
        word ^= wide;
        memcpy(to + i, &word, 8);
    }
    for (; i < size; i++) to[i] = from[i] ^ twice[i & 3];
}

#endif
