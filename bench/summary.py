"""Samples of all rounds -> one figure each, and tables of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from .loads import FIGURES, Figure, Load
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


def ratio(
    samples: Sequence[Sample], load: Load, subject: str, reference: str, key: str = ""
) -> float | None:
    """How the subject's figure, the first one without a `key`, relates to the reference's: the
    median of the rounds' ratios, since what disturbs one round mostly disturbs both. None without
    a figure of both.
    """
    key = key or FIGURES[load.kind][0].key
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
    versus = f"vs {reference}"
    headings = [text for it in others for text in (it.heading, *[versus] * it.compared)]
    yield ["", first.heading, "range", versus, *headings]
    for name in names:

        def middle(figure: Figure, name: str = name) -> str:
            values = by_round(samples, load, name, figure.key).values()
            return format(median(values), figure.form) if values else NOTHING

        def compared(figure: Figure, name: str = name) -> str:
            found = ratio(samples, load, name, reference, figure.key)
            return f"{found:.2f}" if found else NOTHING

        rounds = by_round(samples, load, name, first.key).values()
        ends = [format(end(rounds), first.form) for end in (min, max) if rounds]
        spread = " .. ".join(ends) or NOTHING
        rest = [text for it in others for text in (middle(it), *[compared(it)] * it.compared)]
        yield [name, middle(first), spread, compared(first), *rest]
