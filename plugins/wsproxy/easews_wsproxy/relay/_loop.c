/* The relay's inner loop: wait, receive, skim, send (see loop.py, which does the same in Python).

   apply_mask, payload_of, is_ascii, lengthen
                what is done with payloads (see masking.py)
   FrameState   the numbers that a Walker counts by; `skim` passes over what is unremarkable, and
                `unpack` takes the messages from it
   FdList       descriptors whose TLS has bytes that no poll tells of
   Loop         a set of descriptors in an epoll; `turn` relays all that is ready

   Whatever is remarkable (a Close, a fault, a cut header, a socket that takes no more, an end)
   is left to Python: `skim` stops in front of it, and `turn` calls `on_ready`, `on_bytes` or
   `on_end`. So there is one judge of protocol faults only, and that is frames.py. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <errno.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    PyTypeObject *frame_state_type;
    PyObject *read, *write, *pending, *owed, *flush_some, *end_receiving; /* names */
} ModuleState;

/* ---- Payloads ---- */

/* Unmask, or mask: four words at a time, of which the compiler makes what the processor has. Returns
   bytes of which one has its top bit set when one of those that were made has. */
static uint64_t
mask_bytes(unsigned char *restrict to, const unsigned char *restrict from, size_t size,
           const unsigned char key[4])
{
    uint64_t keys, words[4], all = 0;
    memcpy(&keys, key, 4);
    memcpy((char *)&keys + 4, key, 4);
    size_t at = 0;
    for (; size - at >= sizeof(words); at += sizeof(words)) {
        memcpy(words, from + at, sizeof(words));
        for (int i = 0; i < 4; i++)
            words[i] ^= keys;
        all |= words[0] | words[1] | words[2] | words[3];
        memcpy(to + at, words, sizeof(words));
    }
    for (; at < size; at++)
        all |= to[at] = from[at] ^ key[at % 4];
    return all & 0x8080808080808080;
}

/* The same, without making them. */
static uint64_t
top_bits(const unsigned char *data, size_t size, const unsigned char key[4])
{
    uint64_t keys, words[4], a = 0, b = 0, c = 0, d = 0;
    memcpy(&keys, key, 4);
    memcpy((char *)&keys + 4, key, 4);
    size_t at = 0;
    for (; size - at >= sizeof(words); at += sizeof(words)) {
        memcpy(words, data + at, sizeof(words));
        a |= words[0] ^ keys;
        b |= words[1] ^ keys;
        c |= words[2] ^ keys;
        d |= words[3] ^ keys;
    }
    for (; at < size; at++)
        a |= data[at] ^ key[at % 4];
    return (a | b | c | d) & 0x8080808080808080;
}

/* A payload as str or bytes; `key` is NULL when it is not masked. */
static PyObject *
payload_object(int is_text, const unsigned char *payload, size_t size, const unsigned char *key)
{
    const char *plain = (const char *)payload;
    if (!key)
        return is_text ? PyUnicode_DecodeUTF8(plain, (Py_ssize_t)size, NULL)
                       : PyBytes_FromStringAndSize(plain, (Py_ssize_t)size);
    if (!is_text) {
        PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
        if (bytes)
            mask_bytes((unsigned char *)PyBytes_AS_STRING(bytes), payload, size, key);
        return bytes;
    }
    PyObject *ascii = PyUnicode_New((Py_ssize_t)size, 127);
    if (!ascii || !mask_bytes(PyUnicode_1BYTE_DATA(ascii), payload, size, key))
        return ascii;
    plain = (const char *)PyUnicode_1BYTE_DATA(ascii); /* it is not: it was a place to unmask to */
    PyObject *text = PyUnicode_DecodeUTF8(plain, (Py_ssize_t)size, NULL);
    Py_DECREF(ascii);
    return text;
}

static PyObject *
apply_mask(PyObject *module, PyObject *args)
{
    Py_buffer data, key;
    if (!PyArg_ParseTuple(args, "y*y*", &data, &key))
        return NULL;
    PyObject *masked = NULL;
    if (key.len != 4)
        PyErr_SetString(PyExc_ValueError, "a mask has four bytes");
    else if ((masked = PyBytes_FromStringAndSize(NULL, data.len)))
        mask_bytes((unsigned char *)PyBytes_AS_STRING(masked), data.buf, (size_t)data.len, key.buf);
    PyBuffer_Release(&data);
    PyBuffer_Release(&key);
    return masked;
}

/* `key`: four bytes, or none when the data is not masked. */
static int
check_key(const Py_buffer *key)
{
    if (!key->len || key->len == 4)
        return 1;
    PyErr_SetString(PyExc_ValueError, "a mask has four bytes");
    return 0;
}

static PyObject *
payload_of(PyObject *module, PyObject *args)
{
    Py_buffer data, key;
    int is_text;
    if (!PyArg_ParseTuple(args, "y*y*p", &data, &key, &is_text))
        return NULL;
    PyObject *payload = NULL;
    if (check_key(&key))
        payload = payload_object(is_text, data.buf, (size_t)data.len, key.len ? key.buf : NULL);
    PyBuffer_Release(&data);
    PyBuffer_Release(&key);
    return payload;
}

static PyObject *
is_ascii(PyObject *module, PyObject *args)
{
    static const unsigned char none[4];
    Py_buffer data, key;
    if (!PyArg_ParseTuple(args, "y*y*", &data, &key))
        return NULL;
    PyObject *answer = NULL;
    if (check_key(&key))
        answer = PyBool_FromLong(!top_bits(data.buf, (size_t)data.len, key.len ? key.buf : none));
    PyBuffer_Release(&data);
    PyBuffer_Release(&key);
    return answer;
}

static PyObject *
lengthen(PyObject *module, PyObject *args)
{
    PyObject *data;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "O!n", &PyByteArray_Type, &data, &size))
        return NULL;
    if (size < PyByteArray_GET_SIZE(data)) {
        PyErr_SetString(PyExc_ValueError, "it is longer already");
        return NULL;
    }
    if (PyByteArray_Resize(data, size) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* glibc maps each block of 128 KiB or more anew and gives back what is free at the end of its heap:
   of every large message each page would be a fault. So blocks of up to 4 MiB come from the heap, and
   32 MiB at its end are kept, as glibc does by itself once a block of half that was freed. */
static PyObject *
keep_freed_memory(PyObject *module, PyObject *ignored)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 4 * 1024 * 1024);
    mallopt(M_TRIM_THRESHOLD, 32 * 1024 * 1024);
#endif
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"apply_mask", apply_mask, METH_VARARGS, "apply_mask(data, key): the data masked, or unmasked."},
    {"payload_of", payload_of, METH_VARARGS, "payload_of(data, key, is_text): as str or bytes."},
    {"is_ascii", is_ascii, METH_VARARGS, "is_ascii(data, key): whether it is once it is unmasked."},
    {"keep_freed_memory", keep_freed_memory, METH_NOARGS, "Have the next large blocks made of it."},
    {"lengthen", lengthen, METH_VARARGS, "lengthen(bytearray, size): the new bytes are undefined."},
    {NULL},
};

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

/* Append (data, begin, end, None); steals `data`. */
static int
append_item(PyObject *items, PyObject *data, Py_ssize_t begin, Py_ssize_t end)
{
    PyObject *item = PyTuple_New(4);
    if (!item) {
        Py_DECREF(data);
        return -1;
    }
    PyTuple_SET_ITEM(item, 0, data);
    PyTuple_SET_ITEM(item, 1, PyLong_FromSsize_t(begin));
    PyTuple_SET_ITEM(item, 2, PyLong_FromSsize_t(end));
    PyTuple_SET_ITEM(item, 3, Py_NewRef(Py_None));
    int failed = !PyTuple_GET_ITEM(item, 1) || !PyTuple_GET_ITEM(item, 2) ||
                 PyList_Append(items, item) < 0;
    Py_DECREF(item);
    return failed ? -1 : 0;
}

/* Up to where there are messages of one frame each, neither compressed nor over the limit; they are
   appended to `items`. -1 with an exception set. */
static Py_ssize_t
unpack(FrameState *frames, const unsigned char *data, Py_ssize_t start, Py_ssize_t end,
       uint64_t limit, PyObject *items)
{
    if (frames->remaining || frames->continued)
        return start;
    if (frames->limit >= 0 && limit > (uint64_t)frames->limit)
        limit = (uint64_t)frames->limit;
    Py_ssize_t pos = start;
    while (end - pos >= 2) {
        const unsigned char *frame = data + pos;
        if (frame[0] != 0x81 && frame[0] != 0x82)
            break;
        size_t size = (size_t)(end - pos);
        uint64_t length;
        size_t header = read_header(frames, frame, size, &length);
        if (!header || length > size - header || length > limit)
            break;
        const unsigned char *key = frames->mask_bit ? frame + header - 4 : NULL;
        PyObject *message = payload_object(frame[0] == 0x81, frame + header, (size_t)length, key);
        if (!message) {
            if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
                return -1;
            PyErr_Clear();
            break; /* Python will find the same */
        }
        Py_ssize_t begin = pos;
        pos += (Py_ssize_t)(header + (size_t)length);
        if (append_item(items, message, begin, pos) < 0)
            return -1;
        frames->frames++;
        frames->messages++;
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

static PyObject *
FrameState_unpack(PyObject *self, PyObject *args)
{
    Py_buffer data;
    Py_ssize_t start, end;
    unsigned long long limit;
    PyObject *items;
    if (!PyArg_ParseTuple(args, "y*nnKO!", &data, &start, &end, &limit, &PyList_Type, &items))
        return NULL;
    Py_ssize_t upto = -1;
    if (start < 0 || end < start || end > data.len)
        PyErr_SetString(PyExc_ValueError, "no such part of the data");
    else
        upto = unpack((FrameState *)self, data.buf, start, end, limit, items);
    PyBuffer_Release(&data);
    return upto < 0 ? NULL : PyLong_FromSsize_t(upto);
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
    {"unpack", FrameState_unpack, METH_VARARGS, "unpack(data, start, end, limit, items): up to where."},
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

/* ---- FdList ---- */

typedef struct {
    int *fds;
    int next, count, room;
} FdList;

static int
push_fd(FdList *list, int fd)
{
    if (list->count == list->room) {
        int room = list->room ? 2 * list->room : 64;
        int *fds = PyMem_Realloc(list->fds, (size_t)room * sizeof(int));
        if (!fds) {
            PyErr_NoMemory();
            return -1;
        }
        list->fds = fds;
        list->room = room;
    }
    list->fds[list->count++] = fd;
    return 0;
}

/* ---- Loop ---- */

/* What is to be done with what comes; see loop.py. */
enum way { REPORT, FORWARD, LOOK };

/* What is known of a descriptor. `way`: unless it is REPORT, nothing waits or is due in its
   direction, so what it receives may go straight to `sink`. `inet`: see `relay`. `tls`: NULL, or a tuple with the
   TlsWire that it is read and written through, and the parts of that. `listed`: it is in the
   loop's `pending`. */
typedef struct {
    PyObject *session;
    PyObject *leg;
    FrameState *frames;
    PyObject *tls;
    int sink;
    uint32_t events;
    char way;
    char inet;
    char listed;
} Slot;

enum { WIRE, SSL, INCOMING, OUTGOING }; /* the items of `tls` */

/* The same as in easews.net.tls: the most payload that a TLS record has, and what that takes; the
   most that is encrypted before it is sent. */
#define RECORD_HEADER 5
#define RECORD_PAYLOAD (16 * 1024)
#define RECORD_EXTRA (RECORD_HEADER + 256)
#define RECORD_SIZE (RECORD_PAYLOAD + RECORD_EXTRA)
#define SEND_SIZE (3 * RECORD_PAYLOAD)

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
    const ModuleState *names;
    PyObject *on_ready, *on_bytes, *on_end;
    PyObject *want_read; /* ssl.SSLWantReadError, once a TLS connection has entered */
    PyObject *view;      /* of the buffer */
    Py_buffer buffer;
    Py_ssize_t read_size; /* bytes to receive at once */
    Py_ssize_t ample_size; /* the same while memory is not scarce */
    unsigned long long large_frame; /* with so much left of a frame Python has better means */
    Page **pages;
    int page_count;
    struct epoll_event events[MAX_EVENTS];
    int next, count;
    FdList pending; /* whose TLS has bytes that no poll tells of */
    FdList taken;   /* those of them that this turn is working through */
    int bell;       /* always readable; in the epoll while it `rings`: there are pending ones */
    char rings, turning;
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
    if (!(loop->view = PyMemoryView_FromObject(buffer)))
        return -1;
    if (set_read_size(loop, read_size) < 0)
        return -1;
    loop->ample_size = read_size;
    loop->on_ready = Py_NewRef(on_ready);
    loop->on_bytes = Py_NewRef(on_bytes);
    loop->on_end = Py_NewRef(on_end);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->bell = eventfd(1, EFD_CLOEXEC);
    if (loop->epoll < 0 || loop->bell < 0) {
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
    loop->epoll = loop->bell = -1;
    loop->names = PyType_GetModuleState(type);
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
    Py_VISIT(loop->want_read);
    Py_VISIT(loop->view);
    for (int number = 0; number < loop->page_count; number++)
        for (int at = 0; loop->pages[number] && at < PAGE_SLOTS; at++) {
            Py_VISIT(loop->pages[number]->slots[at].session);
            Py_VISIT(loop->pages[number]->slots[at].leg);
            Py_VISIT(loop->pages[number]->slots[at].frames);
            Py_VISIT(loop->pages[number]->slots[at].tls);
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
    Py_CLEAR(loop->want_read);
    Py_CLEAR(loop->view);
    for (int number = 0; number < loop->page_count; number++)
        for (int at = 0; loop->pages[number] && at < PAGE_SLOTS; at++) {
            Py_CLEAR(loop->pages[number]->slots[at].session);
            Py_CLEAR(loop->pages[number]->slots[at].leg);
            Py_CLEAR(loop->pages[number]->slots[at].frames);
            Py_CLEAR(loop->pages[number]->slots[at].tls);
        }
    return 0;
}

static void
close_loop(Loop *loop)
{
    if (loop->epoll >= 0)
        close(loop->epoll);
    if (loop->bell >= 0)
        close(loop->bell);
    loop->epoll = loop->bell = -1;
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
    PyMem_Free(loop->pending.fds);
    PyMem_Free(loop->taken.fds);
    if (loop->buffer.obj)
        PyBuffer_Release(&loop->buffer);
    close_loop(loop);
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
    close_loop((Loop *)self);
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

/* A slot's `tls` for a TlsWire. */
static PyObject *
take_apart(Loop *loop, PyObject *wire)
{
    if (loop->buffer.len < RECORD_SIZE) {
        PyErr_SetString(PyExc_ValueError, "the buffer is too small for TLS");
        return NULL;
    }
    if (!loop->want_read) {
        PyObject *module = PyImport_ImportModule("ssl");
        if (!module)
            return NULL;
        loop->want_read = PyObject_GetAttrString(module, "SSLWantReadError");
        Py_DECREF(module);
        if (!loop->want_read)
            return NULL;
    }
    PyObject *ssl = PyObject_GetAttrString(wire, "ssl");
    PyObject *incoming = PyObject_GetAttrString(wire, "incoming");
    PyObject *outgoing = PyObject_GetAttrString(wire, "outgoing");
    PyObject *tls = ssl && incoming && outgoing ? PyTuple_Pack(4, wire, ssl, incoming, outgoing) : NULL;
    Py_XDECREF(ssl);
    Py_XDECREF(incoming);
    Py_XDECREF(outgoing);
    return tls;
}

static PyObject *
Loop_enter(PyObject *self, PyObject *args)
{
    Loop *loop = (Loop *)self;
    int fd, sink;
    PyObject *session, *leg, *frames, *wire = Py_None, *tls = NULL;
    if (!PyArg_ParseTuple(
            args, "iOOO!i|O", &fd, &session, &leg, loop->names->frame_state_type, &frames, &sink,
            &wire))
        return NULL;
    if (wire != Py_None && !(tls = take_apart(loop, wire)))
        return NULL;
    Slot *slot = make_slot(loop, fd);
    if (!slot) {
        Py_XDECREF(tls);
        return NULL;
    }
    *slot = (Slot){
        .session = Py_NewRef(session),
        .leg = Py_NewRef(leg),
        .frames = (FrameState *)Py_NewRef(frames),
        .tls = tls,
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

/* Whoever waits for the loop has to be told of pending bytes, which no socket does. */
static int
ring(Loop *loop, int rings)
{
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = loop->bell};
    if (rings == loop->rings)
        return 0;
    if (epoll_ctl(loop->epoll, rings ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, loop->bell, &wanted) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    loop->rings = (char)rings;
    return 0;
}

static int
list_pending(Loop *loop, Slot *slot, int fd)
{
    if (slot->listed)
        return 0;
    if (push_fd(&loop->pending, fd) < 0)
        return -1;
    slot->listed = 1;
    return loop->turning ? 0 : ring(loop, 1);
}

/* Whether an item of `tls` has something pending; -1 with an exception set. */
static int
has_pending(const Loop *loop, PyObject *tls, int item)
{
    PyObject *pending = PyObject_GetAttr(PyTuple_GET_ITEM(tls, item), loop->names->pending);
    int truth = pending ? PyObject_IsTrue(pending) : -1;
    Py_XDECREF(pending);
    return truth;
}

static PyObject *
Loop_update_interest(PyObject *self, PyObject *args)
{
    Loop *loop = (Loop *)self;
    int fd, way;
    unsigned int events;
    if (!PyArg_ParseTuple(args, "iIi", &fd, &events, &way))
        return NULL;
    Slot *slot = slot_of(loop, fd);
    if (!slot || set_interest(loop, slot, fd, events) < 0)
        return NULL;
    slot->way = (char)way;
    if (slot->tls && events & EPOLLIN) {
        PyObject *tls = Py_NewRef(slot->tls);
        int pending = has_pending(loop, tls, WIRE);
        Py_DECREF(tls);
        slot = find_slot(loop, fd); /* Python has run */
        if (pending < 0 || (pending && slot && list_pending(loop, slot, fd) < 0))
            return NULL;
    }
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
    Py_XDECREF(left.tls);
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

/* ---- TLS: the same as TlsWire does, which sees to everything that is out of the ordinary. Each
   call of a method may run Python code, after which the slot may be another's. ---- */

static PyObject *
call(PyObject *tls, int item, PyObject *method, PyObject *first, PyObject *second)
{
    PyObject *arguments[] = {PyTuple_GET_ITEM(tls, item), first, second};
    size_t count = second ? 3 : first ? 2 : 1;
    return PyObject_VectorcallMethod(method, arguments, count, NULL);
}

/* An object that has these bytes of the buffer. A view of them takes longer to make than a copy
   of a few. */
#define LARGE_COPY 4096
static PyObject *
bytes_at(const Loop *loop, const unsigned char *data, Py_ssize_t size)
{
    Py_ssize_t start = data - (const unsigned char *)loop->buffer.buf;
    return size < LARGE_COPY ? PyBytes_FromStringAndSize((const char *)data, size)
                             : PySequence_GetSlice(loop->view, start, start + size);
}

/* Put bytes into a BIO, or have them encrypted: what `write` returns. Takes over `bytes`. */
static PyObject *
put(const Loop *loop, PyObject *tls, int item, PyObject *bytes)
{
    PyObject *result = bytes ? call(tls, item, loop->names->write, bytes, NULL) : NULL;
    Py_XDECREF(bytes);
    return result;
}

/* Send what OpenSSL has written: 1, or 0 when not all of it is taken. The rest is put back. */
static int
send_outgoing(const Loop *loop, PyObject *tls, int fd)
{
    char *data;
    Py_ssize_t size;
    PyObject *bytes = call(tls, OUTGOING, loop->names->read, NULL, NULL);
    if (!bytes || PyBytes_AsStringAndSize(bytes, &data, &size) < 0) {
        Py_XDECREF(bytes);
        return -1;
    }
    ssize_t sent = send(fd, data, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0)
        sent = 0; /* TlsWire tries again, and sees why */
    PyObject *left = sent < size ? PyBytes_FromStringAndSize(data + sent, size - sent) : NULL;
    Py_DECREF(bytes);
    if (sent == size)
        return 1;
    PyObject *put_back = put(loop, tls, OUTGOING, left);
    Py_XDECREF(put_back);
    return put_back ? 0 : -1;
}

/* Send a piece: 1, or 0 when it has not all gone, as TlsWire's `send` says. */
static int
send_piece(const Loop *loop, PyObject *tls, int fd, const unsigned char *data, Py_ssize_t size)
{
    PyObject *owed = put(loop, tls, SSL, bytes_at(loop, data, size));
    if (!owed) {
        if (!PyErr_ExceptionMatches(PyExc_OSError))
            return -1;
        PyErr_Clear(); /* TlsWire tries again, and sees why */
        return 0;
    }
    int sent = send_outgoing(loop, tls, fd);
    if (sent == 0 && PyObject_SetAttr(PyTuple_GET_ITEM(tls, WIRE), loop->names->owed, owed) < 0)
        sent = -1;
    Py_DECREF(owed);
    return sent;
}

/* How many of these bytes were sent; -1 with an exception set. */
static Py_ssize_t
send_tls(const Loop *loop, PyObject *tls, int fd, const unsigned char *data, Py_ssize_t size)
{
    Py_ssize_t sent = 0;
    while (sent < size) {
        Py_ssize_t piece = size - sent < SEND_SIZE ? size - sent : SEND_SIZE;
        int whole = send_piece(loop, tls, fd, data + sent, piece);
        if (whole < 0)
            return -1;
        if (!whole)
            break;
        sent += piece;
    }
    return sent;
}

enum outcome { DRAINED, MORE, ENDED };

/* What has just come, at the end of the buffer. */
typedef struct {
    const unsigned char *data;
    Py_ssize_t size;
} Records;

/* Whether OpenSSL could decrypt what it has not looked at yet: not what is known to be the
   beginning of a record only. Asking it would cost an exception. -1 with an exception set. */
static int
has_record(const Loop *loop, PyObject *tls, const Records *came)
{
    PyObject *pending = PyObject_GetAttr(PyTuple_GET_ITEM(tls, INCOMING), loop->names->pending);
    Py_ssize_t left = pending ? PyLong_AsSsize_t(pending) : -1;
    Py_XDECREF(pending);
    if (left <= 0 || left > came->size)
        return left < 0 ? -1 : left > 0;
    if (left < RECORD_HEADER)
        return 0;
    const unsigned char *record = came->data + came->size - left;
    uint64_t size = RECORD_HEADER + big_endian(record + 3, 2);
    return (uint64_t)left >= size || size > RECORD_SIZE;
}

/* Whether more can be decrypted once the buffer is full; -1 with an exception set. */
static int
has_more(const Loop *loop, PyObject *tls, const Records *came)
{
    PyObject *pending = call(tls, SSL, loop->names->pending, NULL, NULL);
    int more = pending ? PyObject_IsTrue(pending) : -1;
    Py_XDECREF(pending);
    return more ? more : has_record(loop, tls, came);
}

/* Decrypt what is there, `limit` bytes at most, into the buffer: how many; -1 with an exception
   set. */
static Py_ssize_t
decrypt(Loop *loop, PyObject *tls, Py_ssize_t limit, const Records *came, enum outcome *outcome)
{
    Py_ssize_t end = 0;
    *outcome = DRAINED;
    while (end < limit) {
        PyObject *into = end ? PySequence_GetSlice(loop->view, end, limit) : Py_NewRef(loop->view);
        PyObject *size = into ? PyLong_FromSsize_t(limit - end) : NULL;
        PyObject *result = size ? call(tls, SSL, loop->names->read, size, into) : NULL;
        Py_XDECREF(into);
        Py_XDECREF(size);
        Py_ssize_t count = result ? PyLong_AsSsize_t(result) : -1;
        Py_XDECREF(result);
        if (count < 0 && PyErr_ExceptionMatches(loop->want_read)) {
            PyErr_Clear();
            int answers = has_pending(loop, tls, OUTGOING); /* to a record without payload */
            PyObject *flushed =
                answers > 0 ? call(tls, WIRE, loop->names->flush_some, NULL, NULL) : Py_NewRef(Py_None);
            Py_XDECREF(flushed);
            return answers < 0 || !flushed ? -1 : end;
        }
        if (count < 0 && !PyErr_ExceptionMatches(PyExc_OSError))
            return -1;
        if (count <= 0) {
            PyErr_Clear();
            *outcome = ENDED;
            return end;
        }
        int whole = count < limit - end; /* of that record nothing is left */
        end += count;
        int more = whole ? has_record(loop, tls, came) : 1;
        if (more <= 0)
            return more < 0 ? -1 : end;
    }
    int more = has_more(loop, tls, came);
    *outcome = more ? MORE : DRAINED;
    return more < 0 ? -1 : end;
}

/* ---- Relaying ---- */

/* How much to receive at once of a leg whose messages are looked at: the rest of one that has begun; and several times
   as much where frames are large on average, so that most come whole. */
static Py_ssize_t
size_of_look(const Loop *loop, const FrameState *frames)
{
    unsigned long long usual = (unsigned long long)loop->read_size;
    if (frames->remaining && frames->remaining < loop->large_frame)
        return (Py_ssize_t)(usual + frames->remaining);
    return frames->bytes > frames->frames * usual ? loop->buffer.len / 2 : loop->read_size;
}

/* How much to receive at once: inside of a large frame more, which costs less a byte, unless
   memory is scarce: then `set_read_size` has asked for less than there was at first. Three times
   16 KiB fit into one segment (64 KiB) with what TLS adds. Four make a second one, of a few bytes. */
#define LARGE_READ 3
static Py_ssize_t
size_of_read(const Loop *loop, const Slot *slot)
{
    if (loop->read_size < loop->ample_size)
        return loop->read_size;
    Py_ssize_t size = loop->read_size;
    if (slot->way == LOOK)
        size = size_of_look(loop, slot->frames);
    else if (slot->frames->remaining >= loop->large_frame)
        size *= LARGE_READ;
    return size < loop->buffer.len ? size : loop->buffer.len;
}

static Py_ssize_t
send_to(const Loop *loop, int sink, const unsigned char *data, size_t size)
{
    const Slot *slot = find_slot(loop, sink);
    if (slot && slot->tls) {
        PyObject *tls = Py_NewRef(slot->tls);
        Py_ssize_t sent = send_tls(loop, tls, sink, data, (Py_ssize_t)size);
        Py_DECREF(tls);
        return sent;
    }
    ssize_t sent = send(sink, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? 0 : sent; /* Python tries again, and sees why */
}

/* The slot, as long as it is still the leg's. */
static Slot *
slot_with(const Loop *loop, int fd, const PyObject *leg)
{
    Slot *slot = find_slot(loop, fd);
    return slot && slot->leg == leg ? slot : NULL;
}

static PyObject *
call_on_bytes(
    const Loop *loop, PyObject *session, PyObject *leg, Py_ssize_t end, Py_ssize_t upto, Py_ssize_t sent)
{
    PyObject *sizes[] = {PyLong_FromSsize_t(end), PyLong_FromSsize_t(upto), PyLong_FromSsize_t(sent)};
    PyObject *arguments[] = {NULL, session, leg, sizes[0], sizes[1], sizes[2]};
    PyObject *result = NULL;
    if (sizes[0] && sizes[1] && sizes[2])
        result = PyObject_Vectorcall(
            loop->on_bytes, arguments + 1, 5 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    for (int i = 0; i < 3; i++)
        Py_XDECREF(sizes[i]);
    return result;
}

/* The same as `forward`, but Python looks at the bytes first. */
static int
forward_seen(Loop *loop, int fd, Slot *slot, Py_ssize_t end, int rearms)
{
    slot->frames->bytes += (unsigned long long)end;
    PyObject *session = Py_NewRef(slot->session), *leg = Py_NewRef(slot->leg);
    PyObject *result = call_on_bytes(loop, session, leg, end, 0, 0);
    slot = result == Py_True ? slot_with(loop, fd, leg) : NULL; /* Python has run */
    if (slot) {
        Py_ssize_t sent = send_to(loop, slot->sink, loop->buffer.buf, (size_t)end);
        if (sent < end) {
            Py_DECREF(result);
            result = sent < 0 ? NULL : call_on_bytes(loop, session, leg, end, end, sent);
        }
    }
    int failed = after_call(loop, fd, result, rearms);
    Py_DECREF(session);
    Py_DECREF(leg);
    return failed;
}

/* Pass on what `leg` has sent, and is in the buffer. */
static int
forward(Loop *loop, int fd, Slot *slot, Py_ssize_t end, int rearms)
{
    if (slot->way == LOOK)
        return forward_seen(loop, fd, slot, end, rearms);
    unsigned char *data = loop->buffer.buf;
    slot->frames->bytes += (unsigned long long)end;
    size_t upto = skim(slot->frames, data, (size_t)end);
    PyObject *session = Py_NewRef(slot->session), *leg = Py_NewRef(slot->leg);
    Py_ssize_t sent = upto ? send_to(loop, slot->sink, data, upto) : 0;
    int failed = sent < 0 ? -1 : 0;
    if (!failed && sent == end)
        failed = rearms ? rearm(loop, fd) : 0;
    else if (!failed) {
        PyObject *result = call_on_bytes(loop, session, leg, end, (Py_ssize_t)upto, sent);
        failed = after_call(loop, fd, result, rearms);
    }
    Py_DECREF(session);
    Py_DECREF(leg);
    return failed;
}

static int
tell_end(Loop *loop, int fd, Slot *slot)
{
    return after_call(
        loop, fd, PyObject_CallFunction(loop->on_end, "OO", slot->session, slot->leg), 1);
}

/* A `recv` that gets less than it could take has emptied the socket, unless there is `more_behind`
   or the socket is a unix one, whose messages are not joined across ancillary data. */
static int
relay(Loop *loop, int fd, Slot *slot, int more_behind)
{
    Py_ssize_t size = size_of_read(loop, slot);
    ssize_t end = recv(fd, loop->buffer.buf, (size_t)size, MSG_DONTWAIT);
    if (end < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (end < 0 && errno == EINTR)
        return rearm(loop, fd);
    if (end <= 0) /* a reset ends the stream as an EOF does */
        return tell_end(loop, fd, slot);
    int emptied = end < size && !more_behind && slot->inet;
    return forward(loop, fd, slot, end, !emptied);
}

/* The stream has ended, or what came is not TLS. */
static int
end_tls(Loop *loop, int fd, PyObject *tls, PyObject *leg)
{
    PyObject *told = call(tls, WIRE, loop->names->end_receiving, NULL, NULL);
    Py_XDECREF(told);
    Slot *slot = slot_with(loop, fd, leg);
    return !told ? -1 : slot ? tell_end(loop, fd, slot) : 0;
}

/* Relay what can be decrypted by now. `rearms`: the socket may not be empty. */
static int
relay_decrypted(
    Loop *loop, int fd, PyObject *tls, PyObject *leg, Py_ssize_t limit, const Records *came, int rearms)
{
    enum outcome outcome;
    Py_ssize_t end = decrypt(loop, tls, limit, came, &outcome);
    Slot *slot = slot_with(loop, fd, leg);
    if (end < 0 || !slot)
        return end < 0 ? -1 : 0;
    int failed = end ? forward(loop, fd, slot, end, rearms) : rearms ? rearm(loop, fd) : 0;
    slot = slot_with(loop, fd, leg);
    if (failed || !slot || outcome == DRAINED)
        return failed;
    return outcome == MORE ? list_pending(loop, slot, fd) : end_tls(loop, fd, tls, leg);
}

/* Receive what is there and give it to TLS: 0 when nothing was, or it was the end; -1 with an
   exception set. */
static int
fill(Loop *loop, int fd, PyObject *tls, PyObject *leg, Py_ssize_t size, Records *came)
{
    unsigned char *data = (unsigned char *)loop->buffer.buf + loop->buffer.len - size;
    ssize_t count = recv(fd, data, (size_t)size, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (count < 0 && errno == EINTR)
        return rearm(loop, fd);
    if (count <= 0)
        return end_tls(loop, fd, tls, leg);
    *came = (Records){data, count};
    PyObject *written = put(loop, tls, INCOMING, bytes_at(loop, data, count));
    Py_XDECREF(written);
    return written ? 1 : -1;
}

/* `relay` over TLS. `polled`: the socket has bytes; else TLS has them already. The buffer has room
   for what came and, in front of it, what is made of that. */
static int
relay_tls(Loop *loop, int fd, Slot *slot, int more_behind, int polled)
{
    if (polled && slot->listed)
        return rearm(loop, fd); /* what TLS has already comes first */
    PyObject *tls = Py_NewRef(slot->tls), *leg = Py_NewRef(slot->leg);
    Py_ssize_t limit = size_of_read(loop, slot), most = (loop->buffer.len - RECORD_EXTRA) / 2;
    if (limit > most)
        limit = most;
    Py_ssize_t size = limit + RECORD_EXTRA;
    int emptied = slot->inet && !more_behind;
    Records came = {NULL, 0};
    int filled = polled ? fill(loop, fd, tls, leg, size, &came) : 1;
    if (filled > 0) {
        int rearms = polled && !(emptied && came.size < size);
        filled = relay_decrypted(loop, fd, tls, leg, limit, &came, rearms);
    }
    Py_DECREF(tls);
    Py_DECREF(leg);
    return filled;
}

/* Whether Python has better means for what comes now. */
static int
can_splice(const Loop *loop, const Slot *slot)
{
    if (slot->frames->remaining < loop->large_frame)
        return 0;
    const Slot *sink = find_slot(loop, slot->sink);
    return !sink || !sink->tls;
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
    if (events == EPOLLIN && reads && slot->way && slot->tls)
        return relay_tls(loop, fd, slot, events != event->events, 1);
    if (events == EPOLLIN && reads && slot->way && !can_splice(loop, slot))
        return relay(loop, fd, slot, events != event->events);
    return after_call(
        loop, fd, PyObject_CallFunction(loop->on_ready, "OOI", slot->session, slot->leg, events), 1);
}

/* Read on where the poll is silent. One that is not to be read now is listed again when it is. */
static int
handle_pending(Loop *loop, int fd)
{
    Slot *slot = find_slot(loop, fd);
    if (!slot || !slot->listed)
        return 0;
    slot->listed = 0;
    if (!(slot->events & EPOLLIN))
        return 0;
    if (slot->way)
        return relay_tls(loop, fd, slot, 0, 0);
    return after_call(
        loop, fd,
        PyObject_CallFunction(loop->on_ready, "OOI", slot->session, slot->leg, (unsigned)EPOLLIN), 1);
}

static double
monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Take what is ready by now, once all that was ready before is done. How much that is; -1 with an
   exception set. */
static int
take_ready(Loop *loop)
{
    FdList done = loop->taken;
    done.next = done.count = 0;
    loop->taken = loop->pending;
    loop->pending = done;
    loop->next = loop->count = 0;
    int count = epoll_wait(loop->epoll, loop->events, MAX_EVENTS, 0);
    if (count < 0 && errno != EINTR) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    if (count > 0)
        loop->count = count;
    return loop->count + loop->taken.count;
}

/* 1 when nothing is left, 0 when the time is up, -1 with an exception set. */
static int
turn(Loop *loop, double until)
{
    for (unsigned handled = 1;; handled++) {
        if (loop->next == loop->count && loop->taken.next == loop->taken.count) {
            int ready = take_ready(loop);
            if (ready <= 0)
                return ready < 0 ? -1 : 1;
        }
        int failed;
        if (loop->next < loop->count) {
            struct epoll_event event = loop->events[loop->next++];
            failed = handle(loop, &event);
        }
        else
            failed = handle_pending(loop, loop->taken.fds[loop->taken.next++]);
        if (failed)
            return -1;
        if (handled % CLOCK_STRIDE == 0 && monotonic() >= until)
            return 0;
    }
}

static PyObject *
Loop_turn(PyObject *self, PyObject *args)
{
    Loop *loop = (Loop *)self;
    double until;
    if (!PyArg_ParseTuple(args, "d", &until) || ring(loop, 0) < 0)
        return NULL;
    loop->turning = 1;
    int done = turn(loop, until);
    loop->turning = 0;
    return done < 0 ? NULL : PyBool_FromLong(done);
}

static PyMethodDef Loop_methods[] = {
    {"fileno", Loop_fileno, METH_NOARGS, "Readable while one of the descriptors has an event."},
    {"close", Loop_close, METH_NOARGS, "Close it; nobody may be waiting for it any more."},
    {"set_read_size", Loop_set_read_size, METH_O, "set_read_size(read_size): receive so many bytes at once."},
    {"enter", Loop_enter, METH_VARARGS, "enter(fd, session, leg, frames, sink, tls=None)"},
    {"update_interest", Loop_update_interest, METH_VARARGS, "update_interest(fd, events, way)"},
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
add_names(ModuleState *state)
{
    return (state->read = PyUnicode_InternFromString("read")) &&
                   (state->write = PyUnicode_InternFromString("write")) &&
                   (state->pending = PyUnicode_InternFromString("pending")) &&
                   (state->owed = PyUnicode_InternFromString("owed")) &&
                   (state->flush_some = PyUnicode_InternFromString("flush_some")) &&
                   (state->end_receiving = PyUnicode_InternFromString("end_receiving"))
               ? 0
               : -1;
}

static int
module_exec(PyObject *module)
{
    ModuleState *state = PyModule_GetState(module);
    state->frame_state_type = add_type(module, &FrameState_spec);
    if (!state->frame_state_type || add_names(state) < 0)
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
    ModuleState *state = PyModule_GetState(module);
    Py_CLEAR(state->frame_state_type);
    Py_CLEAR(state->read);
    Py_CLEAR(state->write);
    Py_CLEAR(state->pending);
    Py_CLEAR(state->owed);
    Py_CLEAR(state->flush_some);
    Py_CLEAR(state->end_receiving);
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
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC
PyInit__loop(void)
{
    return PyModuleDef_Init(&module_def);
}
