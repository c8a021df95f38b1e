"""The walker on any sequence of frames, in any cut, and beside two other implementations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate as WebsocketsDeflate
from websockets.protocol import Protocol, Side
from wsproto.extensions import PerMessageDeflate as WsprotoDeflate
from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

from easews_wsproxy.relay.frames import CLOSE, PING, PONG, Walker

FIN, RSV1 = 0x80, 0x40
TEXT, BINARY, CONTINUATION = 0x1, 0x2, 0x0
INNER_CONTROLS = (PING, PONG)


@dataclass(frozen=True, slots=True)
class Frame:
    """`first` is the first byte as it is sent; `width` how many bytes tell the length."""

    first: int
    payload: bytes = b""
    masked: bool = False
    width: int = 0

    def encode(self) -> bytes:
        size, mask_bit = len(self.payload), 0x80 if self.masked else 0
        width = self.width or (1 if size < 126 else 2 if size < 0x10000 else 8)
        if width == 1:
            length = bytes([mask_bit | size])
        else:
            length = bytes([mask_bit | (126 if width == 2 else 127)]) + size.to_bytes(width)
        mask = bytes(4) if self.masked else b""  # zeros leave the payload as it is
        return bytes([self.first]) + length + mask + self.payload


def join(frames: Iterable[Frame]) -> bytes:
    return b"".join(frame.encode() for frame in frames)


# Valid sequences in any cut

SIZES = st.one_of(
    st.integers(0, 12), st.sampled_from([125, 126, 127, 128, 255, 256, 0xFFFF, 0x10000, 0x10001])
)
CONTROLS = st.builds(
    Frame,
    first=st.sampled_from([FIN | opcode for opcode in INNER_CONTROLS]),
    payload=st.binary(max_size=125),
)


@st.composite
def messages(draw: st.DrawFn, rsv1: bool) -> list[Frame]:
    """A message in one or more fragments, control frames in between."""
    first = draw(st.sampled_from([TEXT, BINARY])) | (RSV1 if rsv1 and draw(st.booleans()) else 0)
    sizes = draw(st.lists(SIZES, min_size=1, max_size=4))
    frames: list[Frame] = []
    for number, size in enumerate(sizes):
        fin = FIN if number == len(sizes) - 1 else 0
        frames += draw(st.lists(CONTROLS, max_size=2))
        frames.append(Frame((CONTINUATION if number else first) | fin, b"\xa5" * size))
    return frames


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[Frame], bool, bool]:
    """Frames of one direction, and whether they are masked and may be compressed."""
    masked, deflate = draw(st.booleans()), draw(st.booleans())
    frames = [frame for part in draw(st.lists(messages(deflate), max_size=4)) for frame in part]
    frames += draw(st.lists(CONTROLS, max_size=2))
    if draw(st.booleans()):
        frames.append(Frame(FIN | CLOSE, draw(st.sampled_from([b"", b"\x03\xe8", b"\x0f\xa0bye"]))))
    return [Frame(frame.first, frame.payload, masked) for frame in frames], masked, deflate


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """`data` in pieces; cuts close to each other are as likely as those far apart."""
    places = draw(st.lists(st.integers(0, len(data)), max_size=6))
    places += [near for place in places for near in range(place, place + draw(st.integers(0, 9)))]
    edges = sorted({0, len(data), *(place for place in places if place < len(data))})
    return [data[start:end] for start, end in pairwise(edges)]


class Reader:
    """Drives a walker as the relay does: what was withheld is presented again."""

    def __init__(self, walker: Walker, *, swallow_pongs: bool = False) -> None:
        self.walker = walker
        self.walker.watch_pongs = swallow_pongs
        self.held = b""
        self.passed = bytearray()
        self.closed = False

    def feed(self, chunk: bytes) -> None:
        walker = self.walker
        data = self.held + chunk
        pos, self.held = 0, b""
        while not (self.closed or walker.fault):
            start, pos = pos, walker.walk(data, pos, len(data))
            self.passed += data[start:pos]
            if walker.control is None:
                break
            size = walker.control.size
            if walker.control.opcode == CLOSE:
                self.closed = True
                self.passed += data[pos : pos + size]
            pos += size
        if not (self.closed or walker.fault):
            self.held = data[pos:]


@given(st.data())
def test_valid_frames_pass_byte_by_byte_the_same_however_they_are_cut(data: st.DataObject) -> None:
    frames, masked, deflate = data.draw(conversations())
    sent = join(frames)
    reader = Reader(Walker(masked=masked, deflate=deflate))

    for chunk in data.draw(cuts(sent)):
        reader.feed(chunk)
        assert len(reader.held) <= 14 or reader.held[0] & 0x08, "a payload is withheld"

    assert reader.walker.fault is None
    assert bytes(reader.passed) == sent
    assert (reader.held, reader.walker.remaining) == (b"", 0)
    assert reader.walker.frames == len(frames)
    ends = [frame for frame in frames if frame.first & FIN and not frame.first & 0x08]
    assert reader.walker.messages == len(ends)


@given(st.data())
def test_pongs_that_are_waited_for_can_be_taken_out_in_any_cut(data: st.DataObject) -> None:
    frames, masked, deflate = data.draw(conversations())
    reader = Reader(Walker(masked=masked, deflate=deflate), swallow_pongs=True)

    for chunk in data.draw(cuts(join(frames))):
        reader.feed(chunk)

    assert reader.passed == join(frame for frame in frames if frame.first != FIN | PONG)
    assert reader.walker.pongs == sum(frame.first == FIN | PONG for frame in frames)


@given(st.data())
def test_a_fault_is_found_at_the_same_place_however_the_bytes_are_cut(data: st.DataObject) -> None:
    frames, masked, deflate = data.draw(conversations())
    sent = join(frames) + data.draw(st.binary(min_size=1, max_size=40))
    whole, cut = (Reader(Walker(masked=masked, deflate=deflate, limit=300)) for _ in range(2))

    whole.feed(sent)
    for chunk in data.draw(cuts(sent)):
        cut.feed(chunk)

    assert cut.walker.fault == whole.walker.fault
    assert (cut.passed, cut.held, cut.closed) == (whole.passed, whole.held, whole.closed)


# Beside wsproto and websockets

#: Nothing wrong in a sequence. Anything else is the code that it is refused with.
FINE = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The walker's: `code` refuses the sequence; `about` is the fault, or describes the Close."""

    code: int | None
    about: str


def walkers_verdict(data: bytes, masked: bool, deflate: bool) -> Verdict:
    walker = Walker(masked=masked, deflate=deflate)
    stop = walker.walk(data, 0, len(data))
    if walker.fault is not None:
        return Verdict(walker.fault.code, walker.fault.reason)
    if walker.control is None:
        return Verdict(FINE, "nothing wrong")
    inside = " inside a message" if _is_unfinished(data[:stop]) else ""
    return Verdict(FINE, f"Close {walker.control.code}{inside}")


def _is_unfinished(passed: bytes) -> bool:
    """Whether these frames end inside a message: another one could then not begin."""
    masked = bool(passed) and bool(passed[1] & 0x80)
    walker = Walker(masked=masked, deflate=True)
    more = passed + Frame(FIN | BINARY, masked=masked).encode()
    walker.walk(more, 0, len(more))
    return walker.fault is not None


def wsprotos_verdict(data: bytes, masked: bool, deflate: bool) -> int | None:
    extension = WsprotoDeflate()
    if deflate:
        extension.finalize("permessage-deflate")
    protocol = FrameProtocol(client=not masked, extensions=[extension] if deflate else [])
    protocol.receive_bytes(data)
    try:
        for frame in protocol.received_frames():
            if frame.opcode is Opcode.CLOSE:
                break
    except ParseFailed as failure:
        return int(failure.code)
    return FINE


def websockets_verdict(data: bytes, masked: bool, deflate: bool) -> int | None:
    protocol = Protocol(Side.SERVER if masked else Side.CLIENT, max_size=None)
    if deflate:
        protocol.extensions = [WebsocketsDeflate(False, False, 15, 15)]
    protocol.receive_data(data)
    failure = protocol.parser_exc
    codes = {ProtocolError: 1002, UnicodeDecodeError: 1007}
    return FINE if failure is None else codes[type(failure)]


VERDICTS = {"wsproto": wsprotos_verdict, "websockets": websockets_verdict}


@dataclass(frozen=True, slots=True)
class Difference:
    """Where libraries are of another mind: `about` is found in our verdict, `sample` shows it."""

    libraries: tuple[str, ...]
    about: str
    theirs: tuple[int | None, ...]
    why_ours: str
    sample: list[Frame]


_CLOSE_1000 = Frame(FIN | CLOSE, b"\x03\xe8")
_CLOSE_1014 = Frame(FIN | CLOSE, (1014).to_bytes(2))
_CLOSE_NOT_UTF8 = Frame(FIN | CLOSE, b"\x03\xe8\xff")
_UNFINISHED = Frame(BINARY, b"x")

DIFFERENCES = [
    Difference(
        ("wsproto", "websockets"),
        "is not UTF-8",
        (1007,),
        "1007 is for messages (RFC 6455 §7.4.1); a Close that is no Close is a protocol error",
        [_CLOSE_NOT_UTF8],
    ),
    Difference(
        ("websockets",),
        "has the code",
        (1007,),
        "with two faults in one Close, the first one counts",
        [Frame(FIN | CLOSE, b"\x03\xe7\xff")],
    ),
    Difference(
        ("wsproto",),
        "Close 1014",
        (1002,),
        "1014 is in IANA's registry; wsproto's list is older",
        [_CLOSE_1014],
    ),
    Difference(
        ("websockets",),
        "inside a message",
        (1002,),
        "control frames may come between fragments (RFC 6455 §5.4), and Close is one",
        [_UNFINISHED, _CLOSE_1000],
    ),
    Difference(
        ("websockets",),
        "not minimally encoded",
        (FINE, 1002, 1007),
        "the minimal number of bytes MUST be used (RFC 6455 §5.2); websockets reads on",
        [Frame(FIN | BINARY, b"x", width=2)],
    ),
    Difference(
        ("websockets",),
        "more than 125 bytes",
        (FINE, 1002, 1007),
        "the same in a control frame, whose length has one byte (RFC 6455 §5.5)",
        [Frame(FIN | PING, b"x", width=2)],
    ),
    Difference(
        ("wsproto",),
        "nothing wrong",
        (1007,),
        "texts that are not UTF-8 are for the peer to refuse: payloads are not read here",
        [Frame(FIN | TEXT, b"\xff")],
    ),
]


def known(library: str, ours: Verdict, theirs: int | None) -> bool:
    return any(
        (library in row.libraries and row.about in ours.about and theirs in row.theirs)
        for row in DIFFERENCES
    )


@st.composite
def payloads(draw: st.DrawFn, first: int, compressed: bool) -> bytes:
    if first & 0x0F == CLOSE:
        code = draw(st.one_of(st.integers(995, 1020), st.integers(0, 0xFFFF))).to_bytes(2)
        reason = draw(st.sampled_from([b"", b"bye", "zu spät".encode(), b"\xff"]))
        return draw(st.sampled_from([b"", b"\x03", code, code + reason]))
    content = b"x" * draw(st.one_of(st.integers(0, 5), st.sampled_from([124, 125, 126, 127, 300])))
    if not compressed or first & 0x08:
        return content
    # RFC 1951 §3.2.4: a stored block stands for itself, so any fragments inflate when joined.
    # RFC 7692 §7.2.1: the end of a message is the empty block without its last four bytes.
    stored = (
        b"\x00"
        + len(content).to_bytes(2, "little")
        + (~len(content) & 0xFFFF).to_bytes(2, "little")
    )
    return stored + content + (b"\x00" if first & FIN else b"")


def rarely(odds: int) -> st.SearchStrategy[bool]:
    return st.integers(1, odds).map(lambda number: number == odds)


@st.composite
def sequences(draw: st.DrawFn, deflate: bool) -> tuple[bytes, bool]:
    """Frames of which some break a rule, each there as a whole; and whether they are masked."""
    masked = draw(st.booleans())
    start = BINARY | RSV1 if deflate and draw(st.booleans()) else BINARY
    frames: list[Frame] = []
    unfinished = False
    for is_data, fin in draw(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=8)):
        if is_data:
            first = (FIN if fin else 0) | (CONTINUATION if unfinished else start)
            unfinished = not fin
        else:
            first = FIN | draw(st.sampled_from([PING, PONG, CLOSE]))
        if draw(rarely(8)):
            flipped = first ^ 1 << draw(st.integers(0, 7))
            # Stored blocks are no UTF-8, so with them there are no texts.
            first = first if deflate and flipped & 0x0F == TEXT else flipped
        frames.append(
            Frame(
                first,
                draw(payloads(first, deflate)),
                masked != draw(rarely(32)),
                draw(st.sampled_from([2, 8])) if draw(rarely(32)) else 0,
            )
        )
    return join(frames), masked


@pytest.mark.parametrize("library", VERDICTS)
@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
@given(data=st.data())
def test_the_walker_and_the_libraries_agree_on_what_is_wrong(
    library: str, deflate: bool, data: st.DataObject
) -> None:
    sent, masked = data.draw(sequences(deflate))

    ours = walkers_verdict(sent, masked, deflate)
    theirs = VERDICTS[library](sent, masked, deflate)

    assert ours.code == theirs or known(library, ours, theirs), ours.about


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: row.about)
def test_each_known_difference_still_is_one(row: Difference) -> None:
    sent = join(row.sample)
    ours = walkers_verdict(sent, masked=False, deflate=False)

    assert row.about in ours.about
    for library in row.libraries:
        theirs = VERDICTS[library](sent, masked=False, deflate=False)
        assert theirs in row.theirs
        assert theirs != ours.code
