"""The loads, and what is measured under each.

An *echo* load has sessions exchange messages; *idle* opens sessions and weighs them, once each has
echoed a message where the load has a size; *churn* opens and ends them, one after the other;
*flood* has sessions exchange messages, and others opened and closed, beside one that sends tiny
frames as fast as it can; *crowd* has sessions exchange messages while many others end at once.
*request* has connections that are kept alive send one HTTP request after the other.
*shared* has sessions exchange messages through a proxy with two workers, on all cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

LoadKind = Literal["echo", "idle", "churn", "flood", "crowd", "request", "shared"]
#: What a proxy has to be able to do: relay WebSocket sessions, have them over TLS, look at each of
#: their messages, relay HTTP requests, answer them by itself, or relay sessions with two workers.
Ability = Literal["ws", "tls", "messages", "http", "answer", "workers"]
#: The loads that are chosen together.
GroupName = Literal["ws", "tls", "messages", "http", "workers"]
#: How a session ends: a Close from both sides, or the client closes its TCP connection.
EndingKind = Literal["close", "tcp"]


@dataclass(frozen=True, slots=True)
class Load:
    """One load. `size` is in bytes, `in_flight` in messages of each session. `flood` is what the
    one session sends, once (`-` for nothing) and then without end: frames in hex, unmasked.
    `crowd` is how many others end at once. `resumed` TLS sessions begin with a ticket. A request
    sends `size` bytes to `path`, and `answered` come back. Messages that a proxy looks at are
    text, and may be `compressed`.
    """

    name: str
    title: str
    kind: LoadKind
    sessions: int
    size: int = 0
    in_flight: int = 1
    flood: tuple[str, str] = ("", "")
    ending: EndingKind = "close"
    crowd: int = 0
    needs: Ability = "ws"
    resumed: bool = False
    path: str = ""
    answered: int = 0
    compressed: bool = False

    @property
    def group(self) -> GroupName:
        return "http" if self.needs == "answer" else self.needs


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity: its key in a sample, its heading, and how it is written; and whether
    subjects are compared by it, as they always are by the first one.
    """

    key: str
    heading: str
    form: str
    compared: bool = False


def _beside(flood: str, frames: tuple[str, str]) -> Load:
    title = f"16 sessions echo 125 B beside a flood of {flood.replace('-', ' ')}"
    return Load(f"flood-{flood}", title, "flood", 16, 125, flood=frames)


def _over_tls(name: str, title: str, kind: LoadKind, sessions: int, **rest: Any) -> Load:
    return Load(f"tls-{name}", f"TLS: {title}", kind, sessions, needs="tls", **rest)


def _looked_at(name: str, title: str, kind: LoadKind, sessions: int, **rest: Any) -> Load:
    title = f"A look at each message: {title}"
    return Load(f"msg-{name}", title, kind, sessions, needs="messages", **rest)


def _asked(name: str, title: str, path: str, answered: int, size: int = 0) -> Load:
    needs: Ability = "answer" if path == "/answer" else "http"
    title = f"64 connections {title}"
    return Load(
        f"http-{name}", title, "request", 64, size, 1, needs=needs, path=path, answered=answered
    )


def _shared(name: str, title: str, sessions: int, **rest: Any) -> Load:
    title = f"Two workers: {title}"
    return Load(f"workers-{name}", title, "shared", sessions, needs="workers", **rest)


LOADS: tuple[Load, ...] = (
    Load("64x125", "64 sessions echo 125 B", "echo", 64, 125),
    Load("64x8x125", "64 sessions echo 125 B, 8 in flight each", "echo", 64, 125, in_flight=8),
    Load("64x4k", "64 sessions echo 4 KiB", "echo", 64, 4096),
    Load("8x1m", "8 sessions echo 1 MiB", "echo", 8, 1024 * 1024),
    Load("2000x125", "2,000 sessions echo 125 B", "echo", 2000, 125),
    Load("idle", "5,000 idle sessions", "idle", 5000),
    Load("churn-close", "sessions opened and ended by a Close handshake", "churn", 16),
    Load("churn-tcp", "sessions opened and ended by TCP alone", "churn", 16, ending="tcp"),
    Load(
        "crowd", "500 sessions talk while 5,000 others end at once", "crowd", 500, 125, crowd=5000
    ),
    _beside("pings", ("-", "8900")),
    _beside("empty-messages", ("-", "8200")),
    _beside("fragments", ("0200", "000178")),
    _over_tls("64x125", "64 sessions echo 125 B", "echo", 64, size=125),
    _over_tls(
        "64x8x125", "64 sessions echo 125 B, 8 in flight each", "echo", 64, size=125, in_flight=8
    ),
    _over_tls("64x4k", "64 sessions echo 4 KiB", "echo", 64, size=4096),
    _over_tls("8x1m", "8 sessions echo 1 MiB", "echo", 8, size=1024 * 1024),
    _over_tls("idle", "5,000 idle sessions", "idle", 5000),
    _over_tls("idle-16k", "5,000 idle sessions after an echo of 16 KiB", "idle", 5000, size=16384),
    _over_tls("churn-full", "sessions opened and ended", "churn", 16),
    _over_tls("churn-resumed", "sessions opened by a ticket and ended", "churn", 16, resumed=True),
    _looked_at("64x125", "64 sessions echo 125 B", "echo", 64, size=125),
    _looked_at(
        "64x8x125", "64 sessions echo 125 B, 8 in flight each", "echo", 64, size=125, in_flight=8
    ),
    _looked_at("64x4k", "64 sessions echo 4 KiB", "echo", 64, size=4096),
    _looked_at("8x1m", "8 sessions echo 1 MiB", "echo", 8, size=1024 * 1024),
    _looked_at(
        "64x4k-deflate",
        "64 sessions echo 4 KiB, compressed",
        "echo",
        64,
        size=4096,
        compressed=True,
    ),
    _looked_at("idle", "5,000 idle sessions after an echo of 125 B", "idle", 5000, size=125),
    _looked_at(
        "idle-deflate",
        "5,000 idle sessions after an echo of 4 KiB, compressed",
        "idle",
        5000,
        size=4096,
        compressed=True,
    ),
    _shared("64x125", "64 sessions echo 125 B", 64, size=125),
    _shared("64x8x125", "64 sessions echo 125 B, 8 in flight each", 64, size=125, in_flight=8),
    _shared("64x4k", "64 sessions echo 4 KiB", 64, size=4096),
    _asked("get-100", "GET 100 B", "/100", 100),
    _asked("get-64k", "GET 64 KiB", "/65536", 65536),
    _asked("post-64k", "POST 64 KiB", "/100", 100, 65536),
    _asked("answer-100", "GET 100 B that the proxy answers by itself", "/answer", 100),
)

#: What `--loads` may name besides a load: several at once.
GROUPS: Mapping[str, tuple[Load, ...]] = {
    "all": LOADS,
    **{name: tuple(load for load in LOADS if load.group == name) for name in get_args(GroupName)},
}

#: The first figure of each kind is the one that subjects are compared by; less is better.
FIGURES: Mapping[LoadKind, tuple[Figure, ...]] = {
    "echo": (
        Figure("cpu_us", "CPU µs/echo", ".2f"),
        Figure("per_second", "echoes/s", ",.0f"),
        Figure("p50_us", "p50 µs", ",.0f"),
        Figure("p99_us", "p99 µs", ",.0f"),
        Figure("busy", "proxy busy", ".0%"),
        Figure("others_busy", "others busy", ".0%"),
    ),
    "idle": (
        Figure("kib", "KiB/session", ".2f"),
        Figure("baseline_mib", "MiB before", ".1f"),
    ),
    "churn": (
        Figure("cpu_us", "CPU µs/session", ".0f"),
        Figure("per_second", "sessions/s", ",.0f"),
        Figure("busy", "proxy busy", ".0%"),
        Figure("others_busy", "others busy", ".0%"),
    ),
    "flood": (
        Figure("p99_us", "p99 µs", ",.0f"),
        Figure("p50_us", "p50 µs", ",.0f"),
        Figure("per_second", "echoes/s", ",.0f"),
        Figure("opened", "sessions/s", ",.0f"),
        Figure("flood_mib", "flood MiB/s", ",.1f"),
        Figure("others_busy", "others busy", ".0%"),
    ),
    "crowd": (
        Figure("p99_us", "p99 µs", ",.0f"),
        Figure("p50_us", "p50 µs", ",.0f"),
        Figure("worst_us", "worst µs", ",.0f"),
        Figure("quiet_p99_us", "p99 µs before", ",.0f"),
        Figure("others_busy", "others busy", ".0%"),
    ),
    "shared": (
        Figure("wall_us", "µs/echo", ".2f"),
        Figure("per_second", "echoes/s", ",.0f"),
        Figure("p50_us", "p50 µs", ",.0f"),
        Figure("p99_us", "p99 µs", ",.0f", compared=True),
        Figure("cpu_us", "CPU µs/echo", ".2f"),
        Figure("others_busy", "others busy", ".0%"),
    ),
    "request": (
        Figure("cpu_us", "CPU µs/request", ".2f"),
        Figure("per_second", "requests/s", ",.0f"),
        Figure("p50_us", "p50 µs", ",.0f"),
        Figure("p99_us", "p99 µs", ",.0f"),
        Figure("busy", "proxy busy", ".0%"),
        Figure("others_busy", "others busy", ".0%"),
    ),
}
