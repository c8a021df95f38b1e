"""The measurements: each subject under each load, in turn, round after round.

Every measurement has the proxy started anew, so that none inherits another one's buffers, and
the subjects take turns within a round, so that what the machine does meanwhile hits all alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import monotonic

from .generators import Backend, LoadGenerator
from .jsontext import compressed, inflated, text_of
from .loads import Load, LoadKind
from .measure import all_cpu_seconds, cores, cpu_seconds, pss_kib
from .running import running
from .subjects import Subject
from .tools import BenchError, free_port

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
class Ports:
    """Where proxy and backend listen; None has the kernel choose, anew for every start."""

    proxy: int | None = None
    backend: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: its figures by key, or why there are none."""

    round: int
    load: str
    subject: str
    figures: dict[str, float] = field(default_factory=dict)
    failure: str = ""


def measure_all(
    subjects: Sequence[Subject],
    loads: Sequence[Load],
    effort: Effort,
    ports: Ports,
    progress: Callable[[int, Load, Subject], None],
    first: int = 1,
) -> Iterator[Sample]:
    """Measure everything that the subjects do; a measurement that fails is a sample, too. `first`
    is the number of the first round.
    """
    for number in range(first, first + effort.rounds):
        for load in loads:
            for subject in taking_part(_in_turn(subjects, number), load):
                progress(number, load, subject)
                try:
                    figures = _measure(subject, load, effort, ports)
                except BenchError as error:
                    yield Sample(number, load.name, subject.name, failure=str(error))
                else:
                    yield Sample(number, load.name, subject.name, figures)


def taking_part(subjects: Sequence[Subject], load: Load) -> Sequence[Subject]:
    """The subjects that do what the load needs."""
    return [subject for subject in subjects if load.needs in subject.does]


def _in_turn(subjects: Sequence[Subject], number: int) -> Sequence[Subject]:
    """Another one goes first in every round."""
    first = (number - 1) % len(subjects)
    return [*subjects[first:], *subjects[:first]]


@dataclass(frozen=True, slots=True)
class Setting:
    """A proxy with its load generator. Without a proxy, `proxy` is empty."""

    proxy: tuple[int, ...]
    generator: LoadGenerator
    backend: Backend

    @property
    def tools(self) -> tuple[int, ...]:
        return (self.generator.pid, self.backend.pid)


def _measure(subject: Subject, load: Load, effort: Effort, ports: Ports) -> dict[str, float]:
    with _setting(subject, load, ports) as setting:
        figures = MEASURES[load.kind](setting, load, effort)
        if load.compressed and figures:
            _check_echoes(setting.generator, text_of(load.size))
        return figures


def _check_echoes(generator: LoadGenerator, text: bytes) -> None:
    if inflated(generator.echoed()) != text:
        raise BenchError("an echo differs from what was sent, once it is inflated")


@contextmanager
def _setting(subject: Subject, load: Load, ports: Ports) -> Iterator[Setting]:
    proxy_core, load_core = cores()
    with ExitStack() as stack:
        backend = Backend(load_core, ports.backend or free_port(), load.needs)
        stack.enter_context(backend)
        port, pids = backend.port, []
        if subject.command:
            port = ports.proxy or free_port()
            core = None if load.needs == "workers" else proxy_core
            proxy = running(subject, load.needs, core, port, backend.port)
            pids = [stack.enter_context(proxy)]
        generator = stack.enter_context(LoadGenerator(load_core, port, load.needs))
        if load.needs == "messages":
            generator.send_text()
        if load.compressed:
            generator.send_compressed(compressed(text_of(load.size)))
        yield Setting(tuple(pids), generator, backend)


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
