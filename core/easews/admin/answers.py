"""What the operations answer, besides what `Control` does: plain values."""

from __future__ import annotations

from typing import TypedDict

from ..operate.control import State


class Health(TypedDict):
    """The process lives."""

    alive: bool


class Readiness(TypedDict):
    """Whether new clients should be sent here.

    state  what the gateway is at
    """

    ready: bool
    state: State


class Closed(TypedDict):
    """A Close is on its way.

    closed  to how many sessions
    """

    closed: int


class Pinged(TypedDict):
    """Both sides of the session get a ping soon; its `client_rtt` and `backend_rtt` then change."""

    pinged: bool


class Drained(TypedDict):
    """The server gets nothing new.

    sessions  how many sessions are closed slowly
    """

    sessions: int


class Undrained(TypedDict):
    """The server is used again.

    undrained  false when it was not drained
    """

    undrained: bool


class FilterName(TypedDict):
    """A filter of a pipeline."""

    kind: str
    name: str


class ObjectName(TypedDict):
    """An object of the config.

    backends  the pipelines that a server's paths lead to
    filters   the filters of a pipeline
    """

    kind: str
    name: str
    backends: list[str]
    filters: list[FilterName]
