/* The relay's inner loop: wait, receive, skim, send (see batch.py, which does the same in Python).

   Lane   the numbers that a Walker counts by; `skim` passes over what is unremarkable
   Batch  a set of descriptors in an epoll; `turn` relays all that is ready

   Whatever is remarkable (a Close, a fault, a cut header, a socket that takes no more, an end)
   is left to Python: `skim` stops in front of it, and `turn` calls `attend`. So there is one
   judge of protocol faults only, and that is frames.py. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- Lane ---- */

typedef struct {
    PyObject_HEAD
    unsigned long long remaining;     /* payload bytes of the current frame still to come */
    unsigned long long message_bytes; /* payload bytes of the current message so far */
    unsigned long long frames, messages, pings, pongs, bytes;
    long long limit;                  /* payload bytes that a message may have, -1: any number */
    unsigned char mask_bit;           /* 0x80: frames come from a client (RFC 6455, 5.1) */
    char deflate;                     /* RSV1 may be set on a message's first frame (RFC 7692) */
    char continued;                   /* a fragmented message is under way */
    char watch_pongs;                 /* Python wants to see the next pong */
} Lane;

enum meaning { FORBIDDEN, WHOLE, PART, CONTROL };
enum opcode { CLOSE = 0x8, PING = 0x9, PONG = 0xA };
#define MAX_CONTROL_PAYLOAD 125

/* What a frame's first byte means, by what may come: a message, a message that may be
   compressed, a continuation. */
static unsigned char meanings[3][256];
enum { PLAIN, DEFLATE, CONTINUED };

static void
fill_meanings(void)
{
    for (int expected = PLAIN; expected <= CONTINUED; expected++)
        for (int opcode = CLOSE; opcode <= PONG; opcode++)
            meanings[expected][0x80 | opcode] = CONTROL;
    for (int opcode = 1; opcode <= 2; opcode++)
        for (int expected = PLAIN; expected <= DEFLATE; expected++)
            for (int rsv1 = 0; rsv1 <= (expected == DEFLATE ? 0x40 : 0); rsv1 += 0x40) {
                meanings[expected][0x80 | rsv1 | opcode] = WHOLE;
                meanings[expected][rsv1 | opcode] = PART;
            }
    meanings[CONTINUED][0x80] = WHOLE;
    meanings[CONTINUED][0x00] = PART;
}

static uint64_t
big_endian(const unsigned char *bytes, int count)
{
    uint64_t number = 0;
    while (count--)
        number = number << 8 | *bytes++;
    return number;
}

/* The length of a header, and in *length that of its payload; 0: cut or not as it should be. */
static size_t
read_header(const Lane *lane, const unsigned char *frame, size_t size, uint64_t *length)
{
    size_t header = lane->mask_bit ? 6 : 2;
    *length = frame[1] ^ lane->mask_bit;
    if (*length == 126)
        header += 2;
    else if (*length == 127)
        header += 8;
    if (*length > 127 || size < header)
        return 0;
    if (*length == 126) {
        *length = big_endian(frame + 2, 2);
        return *length < 126 ? 0 : header;
    }
    if (*length == 127) {
        *length = big_endian(frame + 2, 8);
        return *length < 0x10000 || *length >> 63 ? 0 : header;
    }
    return header;
}

/* Whether the control frame may be passed over: whole, and a ping or a pong that nobody awaits. */
static int
pass_control(Lane *lane, int opcode, uint64_t length, size_t header, size_t size)
{
    if (length > MAX_CONTROL_PAYLOAD || size < header + length || opcode == CLOSE)
        return 0;
    if (opcode == PONG && lane->watch_pongs)
        return 0;
    *(opcode == PING ? &lane->pings : &lane->pongs) += 1;
    lane->frames++;
    return 1;
}

/* Up to where these bytes may be forwarded as far as can be told without Python. */
static size_t
skim(Lane *lane, const unsigned char *data, size_t size)
{
    if (lane->remaining > size) {
        lane->remaining -= size;
        return size;
    }
    size_t pos = (size_t)lane->remaining;
    lane->remaining = 0;
    while (size - pos >= 2) {
        const unsigned char *frame = data + pos;
        int expected = lane->continued ? CONTINUED : lane->deflate ? DEFLATE : PLAIN;
        int meaning = meanings[expected][frame[0]];
        uint64_t length;
        size_t header = read_header(lane, frame, size - pos, &length);
        if (meaning == FORBIDDEN || !header)
            break;
        if (meaning == CONTROL) {
            if (!pass_control(lane, frame[0] & 0x0F, length, header, size - pos))
                break;
            pos += header + (size_t)length;
            continue;
        }
        if (lane->limit >= 0) {
            uint64_t total = lane->message_bytes + length;
            if (total > (uint64_t)lane->limit)
                break;
            lane->message_bytes = meaning == WHOLE ? 0 : total;
        }
        lane->frames++;
        lane->messages += meaning == WHOLE;
        lane->continued = meaning == PART;
        if (length > size - pos - header) {
            lane->remaining = length - (size - pos - header);
            return size;
        }
        pos += header + (size_t)length;
    }
    return pos;
}

static int
Lane_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"masked", "deflate", "limit", NULL};
    Lane *lane = (Lane *)self;
    int masked = 0, deflate = 0;
    long long limit = -1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ppL", names, &masked, &deflate, &limit))
        return -1;
    lane->mask_bit = masked ? 0x80 : 0;
    lane->deflate = (char)deflate;
    lane->limit = limit;
    return 0;
}

static PyObject *
Lane_skim(PyObject *self, PyObject *args)
{
    Py_buffer data;
    Py_ssize_t start, end;
    if (!PyArg_ParseTuple(args, "y*nn", &data, &start, &end))
        return NULL;
    if (start < 0 || end < start || end > data.len) {
        PyBuffer_Release(&data);
        PyErr_SetString(PyExc_ValueError, "no such part of the data");
        return NULL;
    }
    size_t upto = skim((Lane *)self, (unsigned char *)data.buf + start, (size_t)(end - start));
    PyBuffer_Release(&data);
    return PyLong_FromSsize_t(start + (Py_ssize_t)upto);
}

static PyMemberDef Lane_members[] = {
    {"remaining", T_ULONGLONG, offsetof(Lane, remaining), 0, NULL},
    {"message_bytes", T_ULONGLONG, offsetof(Lane, message_bytes), 0, NULL},
    {"frames", T_ULONGLONG, offsetof(Lane, frames), 0, NULL},
    {"messages", T_ULONGLONG, offsetof(Lane, messages), 0, NULL},
    {"pings", T_ULONGLONG, offsetof(Lane, pings), 0, NULL},
    {"pongs", T_ULONGLONG, offsetof(Lane, pongs), 0, NULL},
    {"bytes", T_ULONGLONG, offsetof(Lane, bytes), 0, NULL},
    {"limit", T_LONGLONG, offsetof(Lane, limit), READONLY, NULL},
    {"mask_bit", T_UBYTE, offsetof(Lane, mask_bit), READONLY, NULL},
    {"deflate", T_BOOL, offsetof(Lane, deflate), READONLY, NULL},
    {"continued", T_BOOL, offsetof(Lane, continued), 0, NULL},
    {"watch_pongs", T_BOOL, offsetof(Lane, watch_pongs), 0, NULL},
    {NULL},
};

static PyMethodDef Lane_methods[] = {
    {"skim", Lane_skim, METH_VARARGS, "Up to where data[start:end] may be forwarded unseen."},
    {NULL},
};

static PyTypeObject LaneType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "easews_wsproxy.relay._batch.Lane",
    .tp_basicsize = sizeof(Lane),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_doc = "The numbers that a Walker counts by.",
    .tp_new = PyType_GenericNew,
    .tp_init = Lane_init,
    .tp_members = Lane_members,
    .tp_methods = Lane_methods,
};

/* ---- Batch ---- */

/* What is known of a descriptor. `clear`: nothing waits or is due in its direction, so what
   it receives may go straight to `sink`. */
typedef struct {
    PyObject *leg;
    Lane *lane;
    int sink;
    uint32_t events;
    int clear;
} Slot;

#define MAX_EVENTS 512
#define MAX_DESCRIPTOR (1 << 24) /* more than any system gives a process */
#define CLOCK_STRIDE 16

typedef struct {
    PyObject_HEAD
    int epoll;
    PyObject *attend;
    Py_buffer buffer;
    Py_ssize_t helping; /* bytes to receive at once */
    unsigned long long large; /* with so much left of a frame Python has better means */
    Slot *slots;
    int slot_count;
    struct epoll_event events[MAX_EVENTS];
    int next, count;
} Batch;

static int
set_helping(Batch *batch, Py_ssize_t helping)
{
    if (helping < 1 || helping > batch->buffer.len) {
        PyErr_SetString(PyExc_ValueError, "the buffer is too small for a helping");
        return -1;
    }
    batch->helping = helping;
    return 0;
}

static int
open_batch(Batch *batch, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"attend", "buffer", "helping", "large", NULL};
    PyObject *attend, *buffer;
    Py_ssize_t helping;
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "OOnK", names, &attend, &buffer, &helping, &batch->large))
        return -1;
    if (PyObject_GetBuffer(buffer, &batch->buffer, PyBUF_WRITABLE) < 0)
        return -1;
    if (set_helping(batch, helping) < 0)
        return -1;
    Py_INCREF(attend);
    batch->attend = attend;
    batch->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (batch->epoll < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}

/* All is done here and nothing in an __init__, which may be called twice. */
static PyObject *
Batch_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    Batch *batch = (Batch *)type->tp_alloc(type, 0);
    if (!batch)
        return NULL;
    batch->epoll = -1;
    if (open_batch(batch, args, kwargs) < 0) {
        Py_DECREF(batch);
        return NULL;
    }
    return (PyObject *)batch;
}

static int
Batch_traverse(PyObject *self, visitproc visit, void *arg)
{
    Batch *batch = (Batch *)self;
    Py_VISIT(batch->attend);
    for (int fd = 0; fd < batch->slot_count; fd++) {
        Py_VISIT(batch->slots[fd].leg);
        Py_VISIT(batch->slots[fd].lane);
    }
    return 0;
}

static int
Batch_clear(PyObject *self)
{
    Batch *batch = (Batch *)self;
    Py_CLEAR(batch->attend);
    for (int fd = 0; fd < batch->slot_count; fd++) {
        Py_CLEAR(batch->slots[fd].leg);
        Py_CLEAR(batch->slots[fd].lane);
    }
    return 0;
}

static void
Batch_dealloc(PyObject *self)
{
    Batch *batch = (Batch *)self;
    PyObject_GC_UnTrack(self);
    Batch_clear(self);
    PyMem_Free(batch->slots);
    if (batch->buffer.obj)
        PyBuffer_Release(&batch->buffer);
    if (batch->epoll >= 0)
        close(batch->epoll);
    Py_TYPE(self)->tp_free(self);
}

static PyObject *
Batch_fileno(PyObject *self, PyObject *ignored)
{
    return PyLong_FromLong(((Batch *)self)->epoll);
}

static PyObject *
Batch_close(PyObject *self, PyObject *ignored)
{
    Batch *batch = (Batch *)self;
    if (batch->epoll >= 0)
        close(batch->epoll);
    batch->epoll = -1;
    Py_RETURN_NONE;
}

static PyObject *
Batch_help_to(PyObject *self, PyObject *helping)
{
    Py_ssize_t size = PyLong_AsSsize_t(helping);
    if (size == -1 && PyErr_Occurred())
        return NULL;
    if (set_helping((Batch *)self, size) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static Slot *
slot_of(Batch *batch, int fd)
{
    if (fd >= 0 && fd < batch->slot_count && batch->slots[fd].leg)
        return &batch->slots[fd];
    PyErr_Format(PyExc_KeyError, "descriptor %d has not entered", fd);
    return NULL;
}

static int
make_room(Batch *batch, int fd)
{
    if (fd < batch->slot_count)
        return 0;
    int wanted = fd < 64 ? 64 : fd * 2;
    Slot *slots = PyMem_Realloc(batch->slots, (size_t)wanted * sizeof(Slot));
    if (!slots) {
        PyErr_NoMemory();
        return -1;
    }
    memset(slots + batch->slot_count, 0, (size_t)(wanted - batch->slot_count) * sizeof(Slot));
    batch->slots = slots;
    batch->slot_count = wanted;
    return 0;
}

static PyObject *
Batch_enter(PyObject *self, PyObject *args)
{
    Batch *batch = (Batch *)self;
    int fd, sink;
    PyObject *leg, *lane;
    if (!PyArg_ParseTuple(args, "iOO!i", &fd, &leg, &LaneType, &lane, &sink))
        return NULL;
    if (fd < 0 || fd > MAX_DESCRIPTOR) {
        PyErr_SetString(PyExc_ValueError, "no descriptor");
        return NULL;
    }
    if (make_room(batch, fd) < 0)
        return NULL;
    if (batch->slots[fd].leg) {
        PyErr_Format(PyExc_KeyError, "descriptor %d has entered already", fd);
        return NULL;
    }
    Py_INCREF(leg);
    Py_INCREF(lane);
    batch->slots[fd] = (Slot){.leg = leg, .lane = (Lane *)lane, .sink = sink};
    Py_RETURN_NONE;
}

/* Edge-triggered: once we have taken all that was there, the kernel need not look at the socket
   again to find that out. Where we may not have, `arm` has it tell once more; and EPOLLRDHUP
   tells where the end of the stream stands right behind what was there. */
static int
control(Batch *batch, int what, int fd, uint32_t events)
{
    uint32_t end = events & EPOLLIN ? EPOLLRDHUP : 0;
    struct epoll_event wanted = {.events = events | end | EPOLLET, .data.fd = fd};
    if (epoll_ctl(batch->epoll, what, fd, &wanted) == 0)
        return 0;
    if (!PyErr_Occurred())
        PyErr_SetFromErrno(PyExc_OSError);
    return -1;
}

static int
set_events(Batch *batch, Slot *slot, int fd, uint32_t events)
{
    if (events == slot->events)
        return 0;
    int what = !events ? EPOLL_CTL_DEL : slot->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (control(batch, what, fd, events) < 0)
        return -1;
    slot->events = events;
    return 0;
}

/* Be told again of what is still the case. */
static int
arm(Batch *batch, int fd)
{
    uint32_t events = batch->slots[fd].events;
    return events ? control(batch, EPOLL_CTL_MOD, fd, events) : 0;
}

static PyObject *
Batch_watch(PyObject *self, PyObject *args)
{
    Batch *batch = (Batch *)self;
    int fd, clear;
    unsigned int events;
    if (!PyArg_ParseTuple(args, "iIp", &fd, &events, &clear))
        return NULL;
    Slot *slot = slot_of(batch, fd);
    if (!slot || set_events(batch, slot, fd, events) < 0)
        return NULL;
    slot->clear = clear;
    Py_RETURN_NONE;
}

static PyObject *
Batch_leave(PyObject *self, PyObject *args)
{
    Batch *batch = (Batch *)self;
    int fd;
    if (!PyArg_ParseTuple(args, "i", &fd))
        return NULL;
    Slot *slot = slot_of(batch, fd);
    if (!slot || set_events(batch, slot, fd, 0) < 0)
        return NULL;
    PyObject *leg = slot->leg;
    Lane *lane = slot->lane;
    *slot = (Slot){0};
    Py_DECREF(leg);
    Py_DECREF(lane);
    Py_RETURN_NONE;
}

/* `end` bytes are in the buffer, `start` of them may go on, `sent` have gone; an `end` of -1:
   nothing was received yet; a `sent` of -1: the sink has failed. */
static int
call_attend(Batch *batch, int fd, uint32_t events, ssize_t end, size_t start, ssize_t sent)
{
    PyObject *leg = batch->slots[fd].leg;
    Py_INCREF(leg); /* it may leave while it is attended to */
    PyObject *result = PyObject_CallFunction(
        batch->attend, "OInnn", leg, events, (Py_ssize_t)end, (Py_ssize_t)start, (Py_ssize_t)sent);
    Py_DECREF(leg);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* The same, and be told again. */
static int
call_attend_and_arm(Batch *batch, int fd, uint32_t events, ssize_t end, size_t start, ssize_t sent)
{
    int attended = call_attend(batch, fd, events, end, start, sent);
    int armed = arm(batch, fd); /* also when it has raised: no event may get lost */
    return attended < 0 ? attended : armed;
}

static int
relay(Batch *batch, int fd, Slot *slot, int hung_up)
{
    unsigned char *data = batch->buffer.buf;
    ssize_t end = recv(fd, data, (size_t)batch->helping, MSG_DONTWAIT);
    if (end < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (end < 0 && errno == EINTR)
        return arm(batch, fd);
    if (end <= 0) /* a reset ends the stream as an EOF does */
        return call_attend_and_arm(batch, fd, EPOLLIN, 0, 0, 0);
    slot->lane->bytes += (unsigned long long)end;
    size_t upto = skim(slot->lane, data, (size_t)end);
    ssize_t sent = 0;
    if (upto) {
        sent = send(slot->sink, data, upto, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            sent = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
    }
    int emptied = end < batch->helping && !hung_up;
    if (upto == (size_t)end && sent == end)
        return emptied ? 0 : arm(batch, fd);
    return (emptied ? call_attend : call_attend_and_arm)(batch, fd, EPOLLIN, end, upto, sent);
}

static int
handle(Batch *batch, const struct epoll_event *event)
{
    int fd = event->data.fd;
    Slot *slot = &batch->slots[fd];
    if (!slot->leg)
        return 0; /* it has left since the events were taken */
    int reads = slot->events & EPOLLIN; /* it may have been paused since the events were taken */
    uint32_t events = event->events & ~(uint32_t)EPOLLRDHUP;
    if (events == EPOLLIN && reads && slot->clear && slot->lane->remaining < batch->large)
        return relay(batch, fd, slot, events != event->events);
    return call_attend_and_arm(batch, fd, events, -1, 0, 0);
}

static double
monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static PyObject *
Batch_turn(PyObject *self, PyObject *args)
{
    Batch *batch = (Batch *)self;
    double until;
    if (!PyArg_ParseTuple(args, "d", &until))
        return NULL;
    for (unsigned handled = 1;; handled++) {
        if (batch->next == batch->count) {
            batch->next = batch->count = 0;
            int count = epoll_wait(batch->epoll, batch->events, MAX_EVENTS, 0);
            if (count < 0 && errno != EINTR)
                return PyErr_SetFromErrno(PyExc_OSError);
            if (count <= 0)
                Py_RETURN_TRUE;
            batch->count = count;
        }
        struct epoll_event event = batch->events[batch->next++];
        if (handle(batch, &event) < 0)
            return NULL;
        if (handled % CLOCK_STRIDE == 0 && monotonic() >= until)
            Py_RETURN_FALSE;
    }
}

static PyMethodDef Batch_methods[] = {
    {"fileno", Batch_fileno, METH_NOARGS, "Readable while one of the descriptors has an event."},
    {"close", Batch_close, METH_NOARGS, "Close it; nobody may be waiting for it any more."},
    {"help_to", Batch_help_to, METH_O, "help_to(helping): receive so many bytes at once."},
    {"enter", Batch_enter, METH_VARARGS, "enter(fd, leg, lane, sink): watched for nothing yet."},
    {"watch", Batch_watch, METH_VARARGS, "watch(fd, events, clear)"},
    {"leave", Batch_leave, METH_VARARGS, "leave(fd): before it is closed."},
    {"turn", Batch_turn, METH_VARARGS, "turn(until): relay; True when nothing more is ready."},
    {NULL},
};

static PyTypeObject BatchType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "easews_wsproxy.relay._batch.Batch",
    .tp_basicsize = sizeof(Batch),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "The relay's descriptors, and its inner loop.",
    .tp_new = Batch_new,
    .tp_traverse = Batch_traverse,
    .tp_clear = Batch_clear,
    .tp_dealloc = Batch_dealloc,
    .tp_methods = Batch_methods,
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_batch",
    .m_doc = "The relay's inner loop, compiled.",
    .m_size = -1,
};

PyMODINIT_FUNC
PyInit__batch(void)
{
    fill_meanings();
    PyObject *made = PyModule_Create(&module);
    if (!made)
        return NULL;
    if (PyModule_AddType(made, &LaneType) < 0 || PyModule_AddType(made, &BatchType) < 0) {
        Py_DECREF(made);
        return NULL;
    }
    return made;
}
