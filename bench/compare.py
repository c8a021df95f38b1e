"""Is a row worse than before? Samples of two subjects from the same rounds -> a verdict a row.

In each round the ratio now / before is taken, so that what slows a round down hits both. A row is
WORSE when three quarters of the rounds say so by more than `FLOOR`: when the lower quartile of the
ratios is above 1 + FLOOR. It is better when the upper quartile is as far below 1. A row that seems
different is measured again, in twice as many rounds, and is different only when these say so, too:
of a dozen rows that have not changed, one would often look different in five rounds by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median, quantiles
from typing import Literal

from .loads import FIGURES, Load
from .rounds import Sample
from .summary import NOTHING, by_round

#: What a row has to differ by at least: less is nobody's concern.
FLOOR = 0.03

#: A row is `new` when the commit before cannot do what the load needs.
Verdict = Literal["same", "better", "WORSE", "new", "unknown"]


@dataclass(frozen=True, slots=True)
class Row:
    """How one load's first figure changed: medians, and the ratios now / before of the rounds."""

    load: Load
    before: float = 0.0
    now: float = 0.0
    ratios: tuple[float, ...] = ()
    verdict: Verdict = "unknown"

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Of the ratios: a quarter of them is below the first, half below the second."""
        low, middle, high = quantiles(self.ratios, n=4, method="inclusive")
        return low, middle, high


def compare(samples: Sequence[Sample], load: Load, before: str, now: str) -> Row:
    """The row of a load, from rounds with figures of both subjects. Fewer than two tell nothing."""
    key = FIGURES[load.kind][0].key
    old, new = (by_round(samples, load, subject, key) for subject in (before, now))
    both = sorted(old.keys() & new.keys())
    ratios = tuple(new[number] / old[number] for number in both if old[number])
    if len(ratios) < 2:
        return Row(load)
    row = Row(load, median(old.values()), median(new.values()), ratios)
    return replace(row, verdict=_verdict(row))


def confirmed(first: Row, second: Row) -> Row:
    """The second measurement's row. It differs only when both do, in the same direction."""
    if first.verdict == second.verdict or second.verdict == "unknown":
        return second
    return replace(second, verdict="same")


def comparison(rows: Sequence[Row]) -> Iterator[list[str]]:
    """Headings, then a row for each load."""
    yield ["", "figure", "before", "now", "now/before", "quartiles", "rounds", "verdict"]
    for row in rows:
        figure = FIGURES[row.load.kind][0]
        cells = _cells(row, figure.form) if row.ratios else [NOTHING] * 5
        yield [row.load.name, figure.heading, *cells, row.verdict]


def _verdict(row: Row) -> Verdict:
    low, _, high = row.quartiles
    if low > 1 + FLOOR:
        return "WORSE"
    return "better" if high < 1 / (1 + FLOOR) else "same"


def _cells(row: Row, form: str) -> list[str]:
    low, middle, high = (f"{ratio:.2f}" for ratio in row.quartiles)
    count = str(len(row.ratios))
    return [format(row.before, form), format(row.now, form), middle, f"{low} .. {high}", count]
