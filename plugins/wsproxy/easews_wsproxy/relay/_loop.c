/* The relay's inner loop: wait, receive, skim, send (see loop.py, which does the same in Python).

   FrameState   the numbers that a Walker counts by; `skim` passes over what is unremarkable
   Loop        a set of descriptors in an epoll; `turn` relays all that is ready

   Whatever is remarkable (a Close, a fault, a cut header, a socket that takes no more, an end)
   is left to Python: `skim` stops in front of it, and `turn` calls `on_ready`, `on_bytes` or
   `on_end`. So there is one judge of protocol faults only, and that is frames.py. */

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

typedef struct {
    PyTypeObject *frame_state_type;
} ModuleState;

/* ---- FrameState ---- */

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
} FrameState;

enum meaning { FORBIDDEN, WHOLE, PART, CONTROL };
enum opcode { CLOSE = 0x8, PING = 0x9, PONG = 0xA };
#define MAX_CONTROL_PAYLOAD 125

/* What a frame's first byte means, by what may come: a message, a message that may be
   compressed, a continuation. The same tables are in frames.py. */
enum { PLAIN, DEFLATE, CONTINUED };
#define CONTROLS [0x88] = CONTROL, [0x89] = CONTROL, [0x8A] = CONTROL
#define MESSAGES [0x81] = WHOLE, [0x82] = WHOLE, [0x01] = PART, [0x02] = PART
#define COMPRESSED [0xC1] = WHOLE, [0xC2] = WHOLE, [0x41] = PART, [0x42] = PART
static const unsigned char meanings[3][256] = {
    [PLAIN] = {MESSAGES, CONTROLS},
    [DEFLATE] = {MESSAGES, COMPRESSED, CONTROLS},
    [CONTINUED] = {[0x80] = WHOLE, [0x00] = PART, CONTROLS},
};

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
read_header(const FrameState *frames, const unsigned char *frame, size_t size, uint64_t *length)
{
    size_t header = frames->mask_bit ? 6 : 2;
    *length = frame[1] ^ frames->mask_bit;
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
pass_control(FrameState *frames, int opcode, uint64_t length, size_t header, size_t size)
{
    if (length > MAX_CONTROL_PAYLOAD || size < header + length || opcode == CLOSE)
        return 0;
    if (opcode == PONG && frames->watch_pongs)
        return 0;
    *(opcode == PING ? &frames->pings : &frames->pongs) += 1;
    frames->frames++;
    return 1;
}

/* Up to where these bytes may be forwarded as far as can be told without Python. */
static size_t
skim(FrameState *frames, const unsigned char *data, size_t size)
{
    if (frames->remaining > size) {
        frames->remaining -= size;
        return size;
    }
    size_t pos = (size_t)frames->remaining;
    frames->remaining = 0;
    while (size - pos >= 2) {
        const unsigned char *frame = data + pos;
        int expected = frames->continued ? CONTINUED : frames->deflate ? DEFLATE : PLAIN;
        int meaning = meanings[expected][frame[0]];
        uint64_t length;
        size_t header = read_header(frames, frame, size - pos, &length);
        if (meaning == FORBIDDEN || !header)
            break;
        if (meaning == CONTROL) {
            if (!pass_control(frames, frame[0] & 0x0F, length, header, size - pos))
                break;
            pos += header + (size_t)length;
            continue;
        }
        if (frames->limit >= 0) {
            uint64_t total = frames->message_bytes + length;
            if (total > (uint64_t)frames->limit)
                break;
            frames->message_bytes = meaning == WHOLE ? 0 : total;
        }
        frames->frames++;
        frames->messages += meaning == WHOLE;
        frames->continued = meaning == PART;
        if (length > size - pos - header) {
            frames->remaining = length - (size - pos - header);
            return size;
        }
        pos += header + (size_t)length;
    }
    return pos;
}

static int
FrameState_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"masked", "deflate", "limit", NULL};
    FrameState *frames = (FrameState *)self;
    int masked = 0, deflate = 0;
    long long limit = -1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ppL", names, &masked, &deflate, &limit))
        return -1;
    frames->mask_bit = masked ? 0x80 : 0;
    frames->deflate = (char)deflate;
    frames->limit = limit;
    return 0;
}

static PyObject *
FrameState_skim(PyObject *self, PyObject *args)
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
    size_t upto = skim((FrameState *)self, (unsigned char *)data.buf + start, (size_t)(end - start));
    PyBuffer_Release(&data);
    return PyLong_FromSsize_t(start + (Py_ssize_t)upto);
}

static PyMemberDef FrameState_members[] = {
    {"remaining", T_ULONGLONG, offsetof(FrameState, remaining), 0, NULL},
    {"message_bytes", T_ULONGLONG, offsetof(FrameState, message_bytes), 0, NULL},
    {"frames", T_ULONGLONG, offsetof(FrameState, frames), 0, NULL},
    {"messages", T_ULONGLONG, offsetof(FrameState, messages), 0, NULL},
    {"pings", T_ULONGLONG, offsetof(FrameState, pings), 0, NULL},
    {"pongs", T_ULONGLONG, offsetof(FrameState, pongs), 0, NULL},
    {"bytes", T_ULONGLONG, offsetof(FrameState, bytes), 0, NULL},
    {"limit", T_LONGLONG, offsetof(FrameState, limit), READONLY, NULL},
    {"mask_bit", T_UBYTE, offsetof(FrameState, mask_bit), READONLY, NULL},
    {"deflate", T_BOOL, offsetof(FrameState, deflate), READONLY, NULL},
    {"continued", T_BOOL, offsetof(FrameState, continued), 0, NULL},
    {"watch_pongs", T_BOOL, offsetof(FrameState, watch_pongs), 0, NULL},
    {NULL},
};

static PyMethodDef FrameState_methods[] = {
    {"skim", FrameState_skim, METH_VARARGS, "Up to where data[start:end] may be forwarded unseen."},
    {NULL},
};

static void
FrameState_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot FrameState_slots[] = {
    {Py_tp_doc, "The numbers that a Walker counts by."},
    {Py_tp_init, FrameState_init},
    {Py_tp_dealloc, FrameState_dealloc},
    {Py_tp_members, FrameState_members},
    {Py_tp_methods, FrameState_methods},
    {0, NULL},
};

static PyType_Spec FrameState_spec = {
    .name = "easews_wsproxy.relay._loop.FrameState",
    .basicsize = sizeof(FrameState),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = FrameState_slots,
};

/* ---- Loop ---- */

/* What is known of a descriptor. `direct`: nothing waits or is due in its direction, so what
   it receives may go straight to `sink`. `inet`: see `relay`. */
typedef struct {
    PyObject *session;
    PyObject *leg;
    FrameState *frames;
    int sink;
    uint32_t events;
    char direct;
    char inet;
} Slot;

#define MAX_EVENTS 512
#define CLOCK_STRIDE 16

/* Slots are found by descriptor in a table of pages. A page is made when a descriptor of its
   range enters, so memory follows the number of descriptors, whatever the numbers are. */
#define PAGE_SLOTS 256
typedef struct {
    Slot slots[PAGE_SLOTS];
} Page;

typedef struct {
    PyObject_HEAD
    int epoll;
    PyObject *on_ready, *on_bytes, *on_end;
    Py_buffer buffer;
    Py_ssize_t read_size; /* bytes to receive at once */
    unsigned long long large_frame; /* with so much left of a frame Python has better means */
    Page **pages;
    int page_count;
    struct epoll_event events[MAX_EVENTS];
    int next, count;
} Loop;

static int
set_read_size(Loop *loop, Py_ssize_t read_size)
{
    if (read_size < 1 || read_size > loop->buffer.len) {
        PyErr_SetString(PyExc_ValueError, "the buffer is too small for a read_size");
        return -1;
    }
    loop->read_size = read_size;
    return 0;
}

static int
open_loop(Loop *loop, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {
        "on_ready", "on_bytes", "on_end", "buffer", "read_size", "large_frame", NULL};
    PyObject *on_ready, *on_bytes, *on_end, *buffer;
    Py_ssize_t read_size;
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "OOOOnK", names, &on_ready, &on_bytes, &on_end, &buffer, &read_size,
            &loop->large_frame))
        return -1;
    if (PyObject_GetBuffer(buffer, &loop->buffer, PyBUF_WRITABLE) < 0)
        return -1;
    if (set_read_size(loop, read_size) < 0)
        return -1;
    loop->on_ready = Py_NewRef(on_ready);
    loop->on_bytes = Py_NewRef(on_bytes);
    loop->on_end = Py_NewRef(on_end);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}

/* All is done here and nothing in an __init__, which may be called twice. */
static PyObject *
Loop_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    Loop *loop = (Loop *)type->tp_alloc(type, 0);
    if (!loop)
        return NULL;
    loop->epoll = -1;
    if (open_loop(loop, args, kwargs) < 0) {
        Py_DECREF(loop);
        return NULL;
    }
    return (PyObject *)loop;
}

static int
Loop_traverse(PyObject *self, visitproc visit, void *arg)
{
    Loop *loop = (Loop *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(loop->on_ready);
    Py_VISIT(loop->on_bytes);
    Py_VISIT(loop->on_end);
    for (int number = 0; number < loop->page_count; number++)
        for (int at = 0; loop->pages[number] && at < PAGE_SLOTS; at++) {
            Py_VISIT(loop->pages[number]->slots[at].session);
            Py_VISIT(loop->pages[number]->slots[at].leg);
            Py_VISIT(loop->pages[number]->slots[at].frames);
        }
    return 0;
}

static int
Loop_clear(PyObject *self)
{
    Loop *loop = (Loop *)self;
    Py_CLEAR(loop->on_ready);
    Py_CLEAR(loop->on_bytes);
    Py_CLEAR(loop->on_end);
    for (int number = 0; number < loop->page_count; number++)
        for (int at = 0; loop->pages[number] && at < PAGE_SLOTS; at++) {
            Py_CLEAR(loop->pages[number]->slots[at].session);
            Py_CLEAR(loop->pages[number]->slots[at].leg);
            Py_CLEAR(loop->pages[number]->slots[at].frames);
        }
    return 0;
}

static void
Loop_dealloc(PyObject *self)
{
    Loop *loop = (Loop *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Loop_clear(self);
    for (int number = 0; number < loop->page_count; number++)
        PyMem_Free(loop->pages[number]);
    PyMem_Free(loop->pages);
    if (loop->buffer.obj)
        PyBuffer_Release(&loop->buffer);
    if (loop->epoll >= 0)
        close(loop->epoll);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
Loop_fileno(PyObject *self, PyObject *ignored)
{
    return PyLong_FromLong(((Loop *)self)->epoll);
}

static PyObject *
Loop_close(PyObject *self, PyObject *ignored)
{
    Loop *loop = (Loop *)self;
    if (loop->epoll >= 0)
        close(loop->epoll);
    loop->epoll = -1;
    Py_RETURN_NONE;
}

static PyObject *
Loop_set_read_size(PyObject *self, PyObject *read_size)
{
    Py_ssize_t size = PyLong_AsSsize_t(read_size);
    if (size == -1 && PyErr_Occurred())
        return NULL;
    if (set_read_size((Loop *)self, size) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* The descriptor's slot, NULL when it has not entered. Any number may be asked for: an epoll that
   another process has inherited reports what that has added, too. */
static Slot *
find_slot(const Loop *loop, int fd)
{
    if (fd < 0 || fd / PAGE_SLOTS >= loop->page_count)
        return NULL;
    Page *page = loop->pages[fd / PAGE_SLOTS];
    if (!page || !page->slots[fd % PAGE_SLOTS].leg)
        return NULL;
    return &page->slots[fd % PAGE_SLOTS];
}

/* The same, with KeyError set when it is NULL. */
static Slot *
slot_of(const Loop *loop, int fd)
{
    Slot *slot = find_slot(loop, fd);
    if (!slot)
        PyErr_Format(PyExc_KeyError, "descriptor %d has not entered", fd);
    return slot;
}

static int
grow_table(Loop *loop, int page_count)
{
    Page **pages = PyMem_Realloc(loop->pages, (size_t)page_count * sizeof(Page *));
    if (!pages) {
        PyErr_NoMemory();
        return -1;
    }
    size_t added = (size_t)(page_count - loop->page_count);
    memset(pages + loop->page_count, 0, added * sizeof(Page *));
    loop->pages = pages;
    loop->page_count = page_count;
    return 0;
}

/* An empty slot for the descriptor; NULL with an exception set when there is none. */
static Slot *
make_slot(Loop *loop, int fd)
{
    if (fd < 0) {
        PyErr_Format(PyExc_ValueError, "%d is no descriptor", fd);
        return NULL;
    }
    if (find_slot(loop, fd)) {
        PyErr_Format(PyExc_KeyError, "descriptor %d has entered already", fd);
        return NULL;
    }
    int number = fd / PAGE_SLOTS;
    if (number >= loop->page_count && grow_table(loop, number + 1) < 0)
        return NULL;
    if (!loop->pages[number] && !(loop->pages[number] = PyMem_Calloc(1, sizeof(Page)))) {
        PyErr_NoMemory();
        return NULL;
    }
    return &loop->pages[number]->slots[fd % PAGE_SLOTS];
}

static int
is_inet(int fd)
{
    int domain;
    socklen_t size = sizeof(domain);
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0)
        return 0;
    return domain == AF_INET || domain == AF_INET6;
}

static PyObject *
Loop_enter(PyObject *self, PyObject *args)
{
    Loop *loop = (Loop *)self;
    ModuleState *state = PyType_GetModuleState(Py_TYPE(self));
    int fd, sink;
    PyObject *session, *leg, *frames;
    if (!PyArg_ParseTuple(
            args, "iOOO!i", &fd, &session, &leg, state->frame_state_type, &frames, &sink))
        return NULL;
    Slot *slot = make_slot(loop, fd);
    if (!slot)
        return NULL;
    *slot = (Slot){
        .session = Py_NewRef(session),
        .leg = Py_NewRef(leg),
        .frames = (FrameState *)Py_NewRef(frames),
        .sink = sink,
        .inet = (char)is_inet(fd),
    };
    Py_RETURN_NONE;
}

/* EPOLLRDHUP: the end of the stream stands behind what is there. EPOLLPRI: TCP urgent data is
   there, in front of which a `recv` stops. */
#define MORE_BEHIND (EPOLLRDHUP | EPOLLPRI)

/* Edge-triggered: once we have taken all that was there, the kernel need not look at the socket
   again to find that out. Where we may not have, `rearm` has it tell once more. */
static int
change_interest(Loop *loop, int what, int fd, uint32_t events)
{
    uint32_t behind = events & EPOLLIN ? MORE_BEHIND : 0;
    struct epoll_event wanted = {.events = events | behind | EPOLLET, .data.fd = fd};
    if (epoll_ctl(loop->epoll, what, fd, &wanted) == 0)
        return 0;
    if (!PyErr_Occurred())
        PyErr_SetFromErrno(PyExc_OSError);
    return -1;
}

static int
set_interest(Loop *loop, Slot *slot, int fd, uint32_t events)
{
    if (events == slot->events)
        return 0;
    int what = !events ? EPOLL_CTL_DEL : slot->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (change_interest(loop, what, fd, events) < 0)
        return -1;
    slot->events = events;
    return 0;
}

/* Be told again of what is still the case. */
static int
rearm(Loop *loop, int fd)
{
    const Slot *slot = find_slot(loop, fd);
    return slot && slot->events ? change_interest(loop, EPOLL_CTL_MOD, fd, slot->events) : 0;
}

static PyObject *
Loop_update_interest(PyObject *self, PyObject *args)
{
    Loop *loop = (Loop *)self;
    int fd, direct;
    unsigned int events;
    if (!PyArg_ParseTuple(args, "iIp", &fd, &events, &direct))
        return NULL;
    Slot *slot = slot_of(loop, fd);
    if (!slot || set_interest(loop, slot, fd, events) < 0)
        return NULL;
    slot->direct = (char)direct;
    Py_RETURN_NONE;
}

static PyObject *
Loop_leave(PyObject *self, PyObject *args)
{
    Loop *loop = (Loop *)self;
    int fd;
    if (!PyArg_ParseTuple(args, "i", &fd))
        return NULL;
    Slot *slot = slot_of(loop, fd);
    if (!slot)
        return NULL;
    if (set_interest(loop, slot, fd, 0) < 0)
        PyErr_Clear(); /* somebody has closed it already, and the kernel has forgotten it */
    Slot left = *slot;
    *slot = (Slot){0};
    Py_DECREF(left.session);
    Py_DECREF(left.leg);
    Py_DECREF(left.frames);
    Py_RETURN_NONE;
}

/* After a call into Python, which gave `result`: be told again if the socket may not be empty. */
static int
after_call(Loop *loop, int fd, PyObject *result, int rearms)
{
    int called = result != NULL;
    Py_XDECREF(result);
    int rearmed = rearms ? rearm(loop, fd) : 0; /* also when it has raised: no event may get lost */
    return called ? rearmed : -1;
}

/* A `recv` that gets less than it could take has emptied the socket, unless there is `more_behind`
   or the socket is a unix one, whose messages are not joined across ancillary data. */
static int
relay(Loop *loop, int fd, Slot *slot, int more_behind)
{
    unsigned char *data = loop->buffer.buf;
    ssize_t end = recv(fd, data, (size_t)loop->read_size, MSG_DONTWAIT);
    if (end < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (end < 0 && errno == EINTR)
        return rearm(loop, fd);
    if (end <= 0) /* a reset ends the stream as an EOF does */
        return after_call(
            loop, fd, PyObject_CallFunction(loop->on_end, "OO", slot->session, slot->leg), 1);
    slot->frames->bytes += (unsigned long long)end;
    size_t upto = skim(slot->frames, data, (size_t)end);
    ssize_t sent = 0;
    if (upto) {
        sent = send(slot->sink, data, upto, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            sent = 0; /* Python tries again, and sees why */
    }
    int emptied = end < loop->read_size && !more_behind && slot->inet;
    if (upto == (size_t)end && sent == end)
        return emptied ? 0 : rearm(loop, fd);
    PyObject *result = PyObject_CallFunction(
        loop->on_bytes, "OOnnn", slot->session, slot->leg, (Py_ssize_t)end, (Py_ssize_t)upto,
        (Py_ssize_t)sent);
    return after_call(loop, fd, result, !emptied);
}

static int
handle(Loop *loop, const struct epoll_event *event)
{
    int fd = event->data.fd;
    Slot *slot = find_slot(loop, fd);
    if (!slot)
        return 0; /* it has left since the events were taken */
    int reads = slot->events & EPOLLIN; /* it may have been paused since the events were taken */
    uint32_t events = event->events & ~(uint32_t)MORE_BEHIND;
    if (!events)
        return 0; /* an urgent mark with nothing behind it yet */
    if (events == EPOLLIN && reads && slot->direct && slot->frames->remaining < loop->large_frame)
        return relay(loop, fd, slot, events != event->events);
    return after_call(
        loop, fd, PyObject_CallFunction(loop->on_ready, "OOI", slot->session, slot->leg, events), 1);
}

static double
monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static PyObject *
Loop_turn(PyObject *self, PyObject *args)
{
    Loop *loop = (Loop *)self;
    double until;
    if (!PyArg_ParseTuple(args, "d", &until))
        return NULL;
    for (unsigned handled = 1;; handled++) {
        if (loop->next == loop->count) {
            loop->next = loop->count = 0;
            int count = epoll_wait(loop->epoll, loop->events, MAX_EVENTS, 0);
            if (count < 0 && errno != EINTR)
                return PyErr_SetFromErrno(PyExc_OSError);
            if (count <= 0)
                Py_RETURN_TRUE;
            loop->count = count;
        }
        struct epoll_event event = loop->events[loop->next++];
        if (handle(loop, &event) < 0)
            return NULL;
        if (handled % CLOCK_STRIDE == 0 && monotonic() >= until)
            Py_RETURN_FALSE;
    }
}

static PyMethodDef Loop_methods[] = {
    {"fileno", Loop_fileno, METH_NOARGS, "Readable while one of the descriptors has an event."},
    {"close", Loop_close, METH_NOARGS, "Close it; nobody may be waiting for it any more."},
    {"set_read_size", Loop_set_read_size, METH_O, "set_read_size(read_size): receive so many bytes at once."},
    {"enter", Loop_enter, METH_VARARGS, "enter(fd, session, leg, frames, sink)"},
    {"update_interest", Loop_update_interest, METH_VARARGS, "update_interest(fd, events, direct)"},
    {"leave", Loop_leave, METH_VARARGS, "leave(fd): before it is closed."},
    {"turn", Loop_turn, METH_VARARGS, "turn(until): relay; True when nothing more is ready."},
    {NULL},
};

static PyType_Slot Loop_slots[] = {
    {Py_tp_doc, "The relay's descriptors, and its inner loop."},
    {Py_tp_new, Loop_new},
    {Py_tp_traverse, Loop_traverse},
    {Py_tp_clear, Loop_clear},
    {Py_tp_dealloc, Loop_dealloc},
    {Py_tp_methods, Loop_methods},
    {0, NULL},
};

static PyType_Spec Loop_spec = {
    .name = "easews_wsproxy.relay._loop.Loop",
    .basicsize = sizeof(Loop),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Loop_slots,
};

/* ---- The module: nothing in it is shared between interpreters ---- */

static PyTypeObject *
add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (type && PyModule_AddType(module, (PyTypeObject *)type) < 0)
        Py_CLEAR(type);
    return (PyTypeObject *)type;
}

static int
module_exec(PyObject *module)
{
    ModuleState *state = PyModule_GetState(module);
    state->frame_state_type = add_type(module, &FrameState_spec);
    if (!state->frame_state_type)
        return -1;
    PyTypeObject *loop_type = add_type(module, &Loop_spec);
    Py_XDECREF(loop_type);
    return loop_type ? 0 : -1;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    Py_VISIT(((ModuleState *)PyModule_GetState(module))->frame_state_type);
    return 0;
}

static int
module_clear(PyObject *module)
{
    Py_CLEAR(((ModuleState *)PyModule_GetState(module))->frame_state_type);
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_loop",
    .m_doc = "The relay's inner loop, compiled.",
    .m_size = sizeof(ModuleState),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC
PyInit__loop(void)
{
    return PyModuleDef_Init(&module_def);
}
