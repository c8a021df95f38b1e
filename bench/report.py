"""What a run has shown, for people on the terminal and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from .compare import Row, comparison
from .loads import Load
from .procedures import Effort
from .rounds import Sample
from .subjects import Subject
from .summary import table_rows

#: The share of a core that other programs may use before the reader is warned.
DISTURBANCE = 0.1


def report(
    samples: Sequence[Sample],
    loads: Iterable[Load],
    subjects: Sequence[Subject],
    compared: Sequence[Row] = (),
) -> Iterator[str]:
    """One table a load, then the comparison with another commit, then what failed, then a warning
    when the machine was busy.
    """
    for load in loads:
        yield "\n".join([load.title, *_aligned(list(table_rows(samples, load, subjects)))])
    if compared:
        yield "\n".join(["Against the commit", *_aligned(list(comparison(compared)))])
    yield from _failures(samples)
    disturbed = [sample.figures.get("others_busy", 0.0) for sample in samples]
    if max(disturbed, default=0.0) > DISTURBANCE:
        worst, usual = max(disturbed), median(disturbed)
        yield (
            f"Other programs were busy on this machine: {usual:.0%} of a core at the median, "
            f"{worst:.0%} at worst. Do not trust throughput and latencies, and CPU times less."
        )


def as_json(
    samples: Iterable[Sample],
    effort: Effort,
    machine: Mapping[str, str],
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """All that is known of a run; the medians are left to the reader."""
    return {
        "machine": dict(machine),
        "versions": dict(versions),
        "effort": asdict(effort),
        "samples": [asdict(sample) for sample in samples],
    }


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        right = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join(["", name.ljust(widths[0]), *right])


def _failures(samples: Iterable[Sample]) -> Iterator[str]:
    """What went wrong, each cause once with all the loads that it spoilt."""
    spoilt: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        if sample.failure:
            cause = sample.failure.partition("\n")[0]
            spoilt.setdefault((sample.subject, cause), []).append(sample)
    for (subject, _), failed in spoilt.items():
        loads = ", ".join(sorted({sample.load for sample in failed}))
        yield f"{subject} failed {len(failed)} times ({loads}): {failed[0].failure}"
