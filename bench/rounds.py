"""The measurements: each subject under each load, in turn, round after round.

Every measurement has the proxy started anew, so that none inherits another one's buffers, and
the subjects take turns within a round, so that what the machine does meanwhile hits all alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from .generators import Backend, LoadGenerator
from .jsontext import compressed, inflated, text_of
from .loads import Load
from .measure import cores
from .procedures import MEASURES, Effort, Setting
from .running import running
from .subjects import Subject
from .tools import BenchError, free_port


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
