"""What an active check of a server sends, and which answers pass: `healthCheck` as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ...filters import SpecFault
from ...http.matching import HeaderMatch, TextMatch

Spec = Mapping[str, Any]

#: The ways to check a server. Without any it is `tcp`.
WAYS = ("http", "ws", "tcp")

#: How many bytes of an answer's body a check reads at most.
BODY = 64 * 1024

#: Seconds that a check may take where the config says nothing, unless its interval is shorter.
TIMEOUT = 3.0

OnUnhealthy = Literal["keep", "drain", "close"]


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """An HTTP request, and which answers pass. Without `path` it is that of the server's URL.

    statuses  the ranges of status codes that pass
    answered  what the headers of the answer have to be like
    body      what the first `BODY` bytes of its body have to be like; None for anything
    """

    path: str = ""
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    statuses: tuple[tuple[int, int], ...] = ((200, 399),)
    answered: HeaderMatch | None = None
    body: TextMatch | None = None

    def passes(self, status: int) -> bool:
        """Whether an answer with this status passes."""
        return any(first <= status <= last for first, last in self.statuses)


@dataclass(frozen=True, slots=True)
class WsCheck:
    """A WebSocket handshake; with `ping` a ping as well, whose pong has to come."""

    path: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    ping: bool = False


@dataclass(frozen=True, slots=True)
class TcpCheck:
    """A connection, and nothing on it."""


Way = HttpCheck | WsCheck | TcpCheck


@dataclass(frozen=True, slots=True)
class Check:
    """How a server is checked.

    way           what is sent
    interval      seconds from one check to the next
    timeout       seconds that one may take
    fails         how many in a row have to fail before the server is down
    passes        how many in a row have to pass before it is up again
    jitter        by how much each interval may be longer or shorter, from 0 to 1 times of it
    port          the port that is asked; 0 for the server's own
    on_unhealthy  what becomes of the open sessions of a server that is down
    """

    way: Way
    interval: float = 10.0
    timeout: float = 3.0
    fails: int = 1
    passes: int = 1
    jitter: float = 0.1
    port: int = 0
    on_unhealthy: OnUnhealthy = "keep"


def check_from_spec(spec: Spec) -> Check:
    """The check that a valid and complete `healthCheck` describes."""
    return Check(
        _way(spec),
        spec["interval"],
        spec.get("timeout", min(TIMEOUT, spec["interval"])),
        spec["fails"],
        spec.get("pass", spec.get("passes", 1)),
        spec["jitter"] / 100,
        spec.get("port", 0),
        spec["onUnhealthy"],
    )


def _way(spec: Spec) -> Way:
    if "http" in spec:
        http, match = spec["http"], spec["http"]["match"]
        return HttpCheck(
            _path(http),
            http["method"],
            _headers(http),
            tuple(_range(status) for status in match["statusCodes"]),
            HeaderMatch(match["headers"], match_all=True) if match["headers"] else None,
            TextMatch(match["body"]) if "body" in match else None,
        )
    if "ws" in spec:
        ws = spec["ws"]
        return WsCheck(_path(ws), _headers(ws), ws["ping"])
    return TcpCheck()


def _path(way: Spec) -> str:
    path: str = way.get("path", way.get("uri", ""))
    return path


def _headers(way: Spec) -> tuple[tuple[str, str], ...]:
    return tuple(way["headers"].items())


def _range(status: int | Sequence[int]) -> tuple[int, int]:
    return (status, status) if isinstance(status, int) else (status[0], status[1])


def check_faults(spec: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    """The faults of a `healthCheck` that its schema cannot express."""
    ways = [way for way in WAYS if way in spec]
    for way in ways[1:]:
        yield SpecFault(
            (*at, way),
            f"a server is checked in one way, and `{ways[0]}` is one",
            "keep one of them",
        )
    yield from _written_twice(spec, "passes", "pass", at)
    for way in ways:
        yield from _written_twice(spec[way], "path", "uri", (*at, way))
    if spec.get("timeout", 0) > spec["interval"]:
        yield SpecFault(
            (*at, "timeout"),
            "a check may take longer than the interval to the next one",
            "write a timeout of at most the interval",
        )
    if "http" in spec:
        yield from _match_faults(spec["http"], (*at, "http", "match"))


def _match_faults(http: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    match = http.get("match", {})
    for number, status in enumerate(match.get("statusCodes", ())):
        first, last = _range(status)
        if first > last:
            yield SpecFault(
                (*at, "statusCodes", number),
                f"no status is at least {first} and at most {last}",
                f"write [{last}, {first}]",
            )
    if "body" in match and http["method"] == "HEAD":
        yield SpecFault(
            (*at, "body"),
            "an answer to HEAD has no body",
            "write method: GET, or leave body out",
        )


def _written_twice(
    spec: Spec, name: str, alias: str, at: Sequence[str | int]
) -> Iterator[SpecFault]:
    if name in spec and alias in spec:
        yield SpecFault(
            (*at, alias),
            f"`{alias}` is another name for `{name}`, which is there",
            f"keep `{name}`",
        )
