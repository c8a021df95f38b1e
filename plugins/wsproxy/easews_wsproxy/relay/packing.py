"""A session as plain data, and the same session made of it again.   (pure)

Tables say how each attribute is written: what has no row here is made anew, or is the service's.
Times are readings of the monotonic clock, which is one for all processes of a system.

Change `VERSION` with anything that changes what the data means.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from easews import Connection
from easews.lowlevel import Wire

from .closing import Closing
from .endstates import Receiving, Sending
from .frames import Walker
from .leg import Leg
from .rates import Rate
from .session import RelaySession
from .watchdog import End, Limits

VERSION = 1

State = dict[str, Any]


class How(NamedTuple):
    """How an attribute is written, and how it is read again."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _text(data: bytes | bytearray | None) -> str | None:
    return None if data is None else b64encode(data).decode()


def _data(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)


def _buffer(text: str | None) -> bytearray | None:
    return None if text is None else bytearray(b64decode(text))


_AS_IT_IS = How(_same, _same)
_BYTES = How(_text, _data)
_BUFFER = How(_text, _buffer)
_PAIR = How(_same, tuple)
_PAIRS = How(_same, lambda pairs: tuple(map(tuple, pairs)))
_SENDING = How(lambda state: state.name, lambda name: Sending[name])
_RECEIVING = How(lambda state: state.name, lambda name: Receiving[name])
_FAREWELL = How(lambda end: [end.code, end.reason], lambda pair: End(*pair))

Table = Mapping[str, How]


def _plain(*names: str) -> Table:
    return dict.fromkeys(names, _AS_IT_IS)


WALKER: Table = _plain(
    *("remaining", "message_bytes", "continued", "watch_pongs"),
    *("frames", "messages", "pings", "pongs", "bytes"),
)
HEARTBEAT: Table = {
    **_plain("_heard", "_bytes", "_asked", "_place", "_queued", "_pings", "_pongs"),
    **_plain("_number", "_sent", "rtt", "wanted"),
    "_secret": _BYTES,
}
PROGRESS: Table = _plain("taken", "waiting", "since")
METER: Table = {**_plain("_messages", "_bytes", "_updated"), "_seen": _PAIR}
LEG: Table = {
    **_plain("shutdown_waits", "resume_at", "injected", "own", "_written", "read_size"),
    "sending": _SENDING,
    "receiving": _RECEIVING,
    "queued_close": _BYTES,
    "held": _BYTES,
    "pending": _BUFFER,
    "inserts": _BUFFER,
}
WATCHDOG: Table = {**_plain("_expires", "_moved_at"), "_farewell": _FAREWELL, "_moved": _PAIRS}
CLOSING: Table = _plain("by", "code", "cause", "failed", "_deadline", "wake")
SESSION: Table = _plain("_opened", "_checked")


def can_be_packed(session: RelaySession) -> bool:
    """Whether data can tell all of it: not what filters keep for it, nor the state of TLS. One of
    which only one connection is left is nearly over, and is not worth it.
    """
    legs = (session.client, session.backend)
    return (
        not session.is_over
        and session.hooks is None
        and session.is_without_notes
        and all(leg.wire is not None and leg.is_plain and leg.lane is None for leg in legs)
    )


def pack(session: RelaySession) -> State:
    """The state of a session, in what JSON has."""
    closing = session.closing
    return {
        "wake": session.wake,
        **_written(session, SESSION),
        "limits": asdict(session.limits),
        "watchdog": _written(session._watchdog, WATCHDOG),
        "closing": None if closing is None else _written(closing, CLOSING),
        "client": _leg_written(session.client),
        "backend": _leg_written(session.backend),
    }


def unpack(
    state: Mapping[str, Any], connection: Connection, client: Wire, backend: Wire
) -> RelaySession:
    """The session that was packed. Its clock is to be told of `wake`, and what it holds to be
    counted.
    """
    limits = _limits(state["limits"])
    session = RelaySession(
        connection,
        _leg("client", client, state["client"]),
        _leg("backend", backend, state["backend"]),
        limits,
    )
    if session.client.meter is not None:
        _read(session.client.meter, METER, state["client"]["meter"])
    if state["closing"] is not None:
        first = ("proxy", 0, "")
        session.closing = Closing(session.client, session.backend, limits, first, 0.0)  # type: ignore[arg-type]
        _read(session.closing, CLOSING, state["closing"])
    for leg in (session.client, session.backend):  # the constructors above have their own ideas
        _read(leg, LEG, state[leg.role])
    _read(session._watchdog, WATCHDOG, state["watchdog"])
    _read(session, SESSION, state)
    return session


def _written(item: object, table: Table) -> State:
    return {name.lstrip("_"): how.write(getattr(item, name)) for name, how in table.items()}


def _read(item: object, table: Table, state: Mapping[str, Any]) -> None:
    for name, how in table.items():
        setattr(item, name, how.read(state[name.lstrip("_")]))


def _leg_written(leg: Leg) -> State:
    walker = leg.walker
    return {
        **_written(leg, LEG),
        "limit": walker.limit,
        "deflate": walker.deflate,
        "walker": _written(walker, WALKER),
        "heartbeat": _written(leg.heartbeat, HEARTBEAT),
        "progress": _written(leg.progress, PROGRESS),
        "meter": None if leg.meter is None else _written(leg.meter, METER),
    }


def _leg(role: Any, wire: Wire, state: Mapping[str, Any]) -> Leg:
    walker = Walker(masked=role == "client", deflate=state["deflate"], limit=state["limit"])
    _read(walker, WALKER, state["walker"])
    leg = Leg(role, wire, walker)
    _read(leg.heartbeat, HEARTBEAT, state["heartbeat"])
    _read(leg.progress, PROGRESS, state["progress"])
    return leg


def _limits(state: Mapping[str, Any]) -> Limits:
    rate = state["client_rate"]
    return Limits(**{**state, "client_rate": None if rate is None else Rate(**rate)})
