"""How each kind of load is measured: what the generator is told, and which figures come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from .generators import Backend, LoadGenerator
from .loads import Load, LoadKind
from .measure import all_cpu_seconds, cpu_seconds, pss_kib

#: How many handshakes are under way at once while sessions are opened.
OPENING = 16
#: How often each session sends while a crowd ends, and for how long that is watched. The end of
#: the crowd is to be most of that time for nobody, and enough of it for the 99th percentile.
TALK_EVERY_MS = 50
TALK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure. `seconds` of echoes are counted after `warm_up` seconds of them."""

    rounds: int = 5
    seconds: float = 2.0
    warm_up: float = 0.5
    churned: int = 2000


@dataclass(frozen=True, slots=True)
class Setting:
    """A proxy with its load generator. Without a proxy, `proxy` is empty."""

    proxy: tuple[int, ...]
    generator: LoadGenerator
    backend: Backend

    @property
    def tools(self) -> tuple[int, ...]:
        return (self.generator.pid, self.backend.pid)


def _echo(setting: Setting, load: Load, effort: Effort) -> dict[str, float]:
    generator = setting.generator
    generator.open(load.sessions, OPENING)
    generator.echo(load.size, load.in_flight, effort.warm_up)
    with _accounted(setting) as used:
        done = generator.echo(load.size, load.in_flight, effort.seconds)
    return {
        **used.figures(done["echoes"]),
        "per_second": done["echoes"] / done["seconds"],
        "p50_us": done["p50_us"],
        "p99_us": done["p99_us"],
    }


def _shared(setting: Setting, load: Load, effort: Effort) -> dict[str, float]:
    figures = _echo(setting, load, effort)
    return {**figures, "wall_us": 1e6 / figures["per_second"]}


def _idle(setting: Setting, load: Load, effort: Effort) -> dict[str, float]:
    if not setting.proxy:
        return {}
    before = pss_kib(setting.proxy)
    setting.generator.open(load.sessions, OPENING)
    if load.size:
        setting.generator.each(load.size, OPENING)
    growth = pss_kib(setting.proxy) - before
    return {"kib": growth / load.sessions, "baseline_mib": before / 1024}


def _churn(setting: Setting, load: Load, effort: Effort) -> dict[str, float]:
    setting.generator.churn(effort.churned // 10, load.sessions, load.ending)
    if load.resumed:
        setting.generator.resume()
        setting.generator.churn(effort.churned // 10, load.sessions, load.ending)
    setting.backend.wait_for_endings(left=0)
    with _accounted(setting) as used:
        done = setting.generator.churn(effort.churned, load.sessions, load.ending)
        setting.backend.wait_for_endings(left=0)
    return {
        **used.figures(done["churned"]),
        "per_second": done["churned"] / done["seconds"],
    }


def _flood(setting: Setting, load: Load, effort: Effort) -> dict[str, float]:
    generator = setting.generator
    generator.open(load.sessions, OPENING)
    generator.flood(*load.flood)
    generator.echo(load.size, load.in_flight, effort.warm_up)
    with _accounted(setting) as used:
        done = generator.echo(load.size, load.in_flight, effort.seconds)
    opened = generator.churn(effort.churned // 10, OPENING, "close")
    return {
        **used.figures(done["echoes"]),
        "p99_us": done["p99_us"],
        "p50_us": done["p50_us"],
        "per_second": done["echoes"] / done["seconds"],
        "opened": opened["churned"] / opened["seconds"],
        "flood_mib": done["flooded"] / done["seconds"] / 2**20,
    }


def _crowd(setting: Setting, load: Load, effort: Effort) -> dict[str, float]:
    generator = setting.generator
    generator.open(load.sessions, OPENING)
    quiet = generator.talk(load.size, TALK_EVERY_MS, effort.warm_up)
    generator.crowd(load.crowd, OPENING)
    with _accounted(setting) as used:
        done = generator.talk(load.size, TALK_EVERY_MS, TALK_SECONDS)
    setting.backend.wait_for_endings(left=load.sessions)
    return {
        **used.figures(done["echoes"]),
        "p99_us": done["p99_us"],
        "p50_us": done["p50_us"],
        "worst_us": done["worst_us"],
        "quiet_p99_us": quiet["p99_us"],
    }


def _request(setting: Setting, load: Load, effort: Effort) -> dict[str, float]:
    generator = setting.generator
    generator.open(load.sessions, OPENING)
    generator.ask(load.path, load.size, load.answered, effort.warm_up)
    with _accounted(setting) as used:
        done = generator.ask(load.path, load.size, load.answered, effort.seconds)
    return {
        **used.figures(done["answers"]),
        "per_second": done["answers"] / done["seconds"],
        "p50_us": done["p50_us"],
        "p99_us": done["p99_us"],
    }


MEASURES: dict[LoadKind, Callable[[Setting, Load, Effort], dict[str, float]]] = {
    "echo": _echo,
    "idle": _idle,
    "churn": _churn,
    "flood": _flood,
    "crowd": _crowd,
    "request": _request,
    "shared": _shared,
}


class Usage:
    """CPU time between two moments."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._start = self._now()
        self._spent = self._start

    def stop(self) -> None:
        self._spent = tuple(
            now - start for now, start in zip(self._now(), self._start, strict=True)
        )

    def figures(self, count: float) -> dict[str, float]:
        """The figures that come of it, when it was spent on `count` echoes or sessions."""
        elapsed, everybody, proxy, tools = self._spent
        others = {"others_busy": max(0.0, everybody - proxy - tools) / elapsed}
        if not self._setting.proxy:
            return others
        return {"cpu_us": proxy / count * 1e6, "busy": proxy / elapsed, **others}

    def _now(self) -> tuple[float, ...]:
        setting = self._setting
        used = (cpu_seconds(pids) for pids in (setting.proxy, setting.tools))
        return (monotonic(), all_cpu_seconds(), *used)


@contextmanager
def _accounted(setting: Setting) -> Iterator[Usage]:
    usage = Usage(setting)
    yield usage
    usage.stop()
