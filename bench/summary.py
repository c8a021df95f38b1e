"""Samples of all rounds -> one figure each, and tables of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from .loads import FIGURES, Load
from .rounds import Sample, taking_part
from .subjects import Subject

#: The subject that the others are compared with: the first of these that takes part.
REFERENCES = ("nginx", "aiohttp")
NOTHING = "-"


def by_round(samples: Iterable[Sample], load: Load, subject: str, key: str) -> dict[int, float]:
    """One figure of a subject under a load: round -> value."""
    return {
        sample.round: sample.figures[key]
        for sample in samples
        if (sample.load, sample.subject) == (load.name, subject) and key in sample.figures
    }


def ratio(samples: Sequence[Sample], load: Load, subject: str, reference: str) -> float | None:
    """How the subject's first figure relates to the reference's: the median of the rounds'
    ratios, since what disturbs one round mostly disturbs both. None without a figure of both.
    """
    key = FIGURES[load.kind][0].key
    ours, theirs = (by_round(samples, load, name, key) for name in (subject, reference))
    ratios = [ours[number] / theirs[number] for number in ours if theirs.get(number)]
    return median(ratios) if ratios else None


def table_rows(
    samples: Sequence[Sample], load: Load, subjects: Sequence[Subject]
) -> Iterator[list[str]]:
    """The headings, then a row for each subject that does what the load needs: medians, and the
    range of the first figure.
    """
    first, *others = FIGURES[load.kind]
    names = [subject.name for subject in taking_part(subjects, load)]
    reference = next((name for name in (*REFERENCES, *names) if name in names), NOTHING)
    yield ["", first.heading, "range", f"vs {reference}", *(figure.heading for figure in others)]
    for name in names:
        compared = ratio(samples, load, name, reference)
        medians = [
            format(median(values), figure.form) if values else NOTHING
            for figure in (first, *others)
            for values in [by_round(samples, load, name, figure.key).values()]
        ]
        rounds = by_round(samples, load, name, first.key).values()
        ends = [format(end(rounds), first.form) for end in (min, max) if rounds]
        spread = " .. ".join(ends) or NOTHING
        yield [name, medians[0], spread, f"{compared:.2f}" if compared else NOTHING, *medians[1:]]
