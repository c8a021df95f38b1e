"""How far each side of a session has come to its end, as tables (RFC 6455 §5.5.1 and §7).

A leg has two states: what we still send to the peer, and what the peer still sends. `SENDING` and
`RECEIVING` tell how each event changes them. An event that has no cell cannot happen in that
state: the KeyError ends the session, as any fault of the relay's own does.
`SHUTS_DOWN` tells when the TCP connection follows.

`docs/explanation/closing.svg` is drawn from these tables by `scripts/state_diagram.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Event(StrEnum):
    """What happens to a leg. The first six change what we send, the others what the peer sends."""

    DEFER_CLOSE = "our Close waits for answers"
    QUEUE_CLOSE = "our Close waits for the frame's end"
    SEND_CLOSE = "a Close is sent"
    SEAL = "no Close can follow"
    SHUT_DOWN = "our side is shut down"
    GIVE_UP = "the connection fails or is closed"

    GET_CLOSE = "a Close comes"
    DISCARD = "the rest is to be ignored"
    END = "the stream ends"


class Sending(StrEnum):
    """What we still send to the peer."""

    OPEN = "frames of the other side"
    ANSWERS = "answers of the other side, then our Close"
    LAST_FRAME = "the rest of a frame, then our Close"
    CLOSED = "only what is queued"
    SHUT = "nothing"


class Receiving(StrEnum):
    """What the peer still sends."""

    OPEN = "frames for the other side"
    CLOSED = "what follows its Close"
    DISCARDED = "what nobody wants"
    ENDED = "nothing more"


# A Close of ours never goes into the middle of a frame, and nothing follows a Close.
SENDING: Mapping[Sending, Mapping[Event, Sending]] = {
    Sending.OPEN: {
        Event.DEFER_CLOSE: Sending.ANSWERS,
        Event.QUEUE_CLOSE: Sending.LAST_FRAME,
        Event.SEND_CLOSE: Sending.CLOSED,
        Event.SEAL: Sending.CLOSED,
        Event.GIVE_UP: Sending.SHUT,
    },
    Sending.ANSWERS: {
        Event.QUEUE_CLOSE: Sending.LAST_FRAME,
        Event.SEND_CLOSE: Sending.CLOSED,
        Event.SEAL: Sending.CLOSED,
        Event.GIVE_UP: Sending.SHUT,
    },
    Sending.LAST_FRAME: {
        Event.DEFER_CLOSE: Sending.LAST_FRAME,
        Event.QUEUE_CLOSE: Sending.LAST_FRAME,
        Event.SEND_CLOSE: Sending.CLOSED,
        Event.SEAL: Sending.CLOSED,
        Event.GIVE_UP: Sending.SHUT,
    },
    Sending.CLOSED: {
        Event.SEAL: Sending.CLOSED,
        Event.SHUT_DOWN: Sending.SHUT,
        Event.GIVE_UP: Sending.SHUT,
    },
    Sending.SHUT: {
        Event.SEAL: Sending.SHUT,
    },
}

RECEIVING: Mapping[Receiving, Mapping[Event, Receiving]] = {
    Receiving.OPEN: {
        Event.GET_CLOSE: Receiving.CLOSED,
        Event.DISCARD: Receiving.DISCARDED,
        Event.END: Receiving.ENDED,
    },
    Receiving.CLOSED: {
        Event.DISCARD: Receiving.DISCARDED,
        Event.END: Receiving.ENDED,
    },
    Receiving.DISCARDED: {
        Event.DISCARD: Receiving.DISCARDED,
        Event.END: Receiving.ENDED,
    },
    Receiving.ENDED: {
        Event.DISCARD: Receiving.ENDED,
    },
}

#: What the other side sends is forwarded as it comes.
FORWARDING = (Sending.OPEN, Sending.ANSWERS)
#: Nothing may follow what was written by now (RFC 6455 §5.5.1).
SEALED = (Sending.CLOSED, Sending.SHUT)

#: Once a leg is `CLOSED` and nothing waits for its peer, our side of its connection is shut down
#: in these states of what the peer sends. After two Closes the server's side ends the connection
#: (RFC 6455 §7.1.1): the client waits for us, and we wait for the backend.
SHUTS_DOWN: Mapping[str, tuple[Receiving, ...]] = {
    "client": (Receiving.CLOSED, Receiving.DISCARDED, Receiving.ENDED),
    "backend": (Receiving.DISCARDED, Receiving.ENDED),
}
