/* What the load generators share: failing, waiting, and how long answers took. */
#ifndef ASKING_H
#define ASKING_H

#include "wire.h"

#include <stdarg.h>

#define PATIENCE_NS (20 * 1000000000ULL)
#define HISTOGRAM_US 2000000

static uint64_t now, progress, answers, latest, worst_us;
static uint32_t histogram[HISTOGRAM_US + 1]; /* microseconds; the last is all above */

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static inline int await_events(int poller, struct epoll_event *events, int timeout_ms) {
    int ready = next_events(poller, events, timeout_ms);
    if (ready < 0) die("load: epoll_wait");
    now = clock_ns();
    if (ready) progress = now;
    if (now - progress > PATIENCE_NS) fail("nothing has happened for 20 seconds");
    return ready;
}

static inline uint64_t begin_counting(void) {
    memset(histogram, 0, sizeof histogram);
    answers = worst_us = 0;
    return now = progress = latest = clock_ns();
}

/* The answer to what was due at a time is here. */
static inline void count_answer(uint64_t due) {
    uint64_t us = (now - due) / 1000;
    histogram[us < HISTOGRAM_US ? us : HISTOGRAM_US]++;
    if (us > worst_us) worst_us = us;
    answers++;
    latest = now;
}

static inline uint64_t percentile_us(double share) {
    uint64_t wanted = (uint64_t)((double)answers * share), seen = 0, us = 0;
    while (us < HISTOGRAM_US && (seen += histogram[us]) <= wanted) us++;
    return us;
}

#endif
