"""The loads, and what is measured under each.

An *echo* load has sessions exchange messages; *idle* opens sessions and weighs them; *churn*
opens and ends them, one after the other; *flood* has sessions exchange messages, and others
opened and closed, beside one that sends tiny frames as fast as it can; *crowd* has sessions
exchange messages while many others end at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

LoadKind = Literal["echo", "idle", "churn", "flood", "crowd"]
#: How a session ends: a Close from both sides, or the client closes its TCP connection.
EndingKind = Literal["close", "tcp"]


@dataclass(frozen=True, slots=True)
class Load:
    """One load. `size` is in bytes, `in_flight` in messages of each session. `flood` is what the
    one session sends, once (`-` for nothing) and then without end: frames in hex, unmasked.
    `crowd` is how many others end at once.
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


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity: its key in a sample, its heading, and how it is written."""

    key: str
    heading: str
    form: str


def _beside(flood: str, frames: tuple[str, str]) -> Load:
    title = f"16 sessions echo 125 B beside a flood of {flood.replace('-', ' ')}"
    return Load(f"flood-{flood}", title, "flood", 16, 125, flood=frames)


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
)

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
}
