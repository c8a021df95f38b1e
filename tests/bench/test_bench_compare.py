"""Is a row worse than before?"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from bench.compare import FLOOR, Row, Verdict, compare, comparison, confirmed
from bench.loads import LOADS
from bench.report import report
from bench.rounds import Sample
from bench.subjects import Subject

ECHO = next(load for load in LOADS if load.kind == "echo")


def row(before: Sequence[float], now: Sequence[float]) -> Row:
    samples = [
        Sample(number, ECHO.name, subject, {"cpu_us": value})
        for subject, values in (("old", before), ("new", now))
        for number, value in enumerate(values)
    ]
    return compare(samples, ECHO, "old", "new")


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        ([10, 10, 10, 10, 10], "same"),
        ([11, 11, 11, 11, 11], "WORSE"),
        ([9, 9, 9, 9, 9], "better"),
        ([11, 11, 11, 11, 9], "WORSE"),  # one round in five may say otherwise
        ([11, 11, 11, 9, 9], "same"),
        ([9, 9, 9, 9, 30], "better"),
        ([10.2, 10.2, 10.2, 10.2, 10.2], "same"),  # below the floor
        ([9.8, 9.8, 9.8, 9.8, 9.8], "same"),
    ],
)
def test_a_row_differs_when_three_quarters_of_the_rounds_say_so(
    now: list[float], verdict: Verdict
) -> None:
    assert row([10] * 5, now).verdict == verdict


def test_what_slows_down_a_round_slows_down_both() -> None:
    steady = row([10, 10, 30, 10, 20], [11, 11, 33, 11, 22])
    assert steady.verdict == "WORSE"
    assert steady.quartiles == pytest.approx((1.1, 1.1, 1.1))


def test_the_floor_itself_is_no_difference() -> None:
    assert row([100] * 5, [100 * (1 + FLOOR)] * 5).verdict == "same"


def test_rounds_without_figures_of_both_do_not_count() -> None:
    short = row([10, 10, 10], [11, 11])
    assert (len(short.ratios), short.verdict) == (2, "WORSE")
    assert row([10], [11]).verdict == "unknown"


def test_a_difference_that_is_not_seen_again_is_none() -> None:
    worse, better, same = (row([10] * 5, [now] * 5) for now in (11, 9, 10))
    assert confirmed(worse, worse).verdict == "WORSE"
    assert confirmed(worse, better).verdict == "same"
    assert confirmed(better, same).verdict == "same"
    assert confirmed(worse, row([], [])).verdict == "unknown"


def test_the_comparison_has_a_line_for_each_row() -> None:
    _, worse, unknown = comparison([row([10, 10, 10, 10, 10], [11, 11, 11, 12, 9]), row([], [])])
    assert worse == [
        *("64x125", "CPU µs/echo", "10.00", "11.00", "1.10", "1.10 .. 1.10", "5", "WORSE")
    ]
    assert unknown == ["64x125", "CPU µs/echo", *"-----", "unknown"]


def test_the_comparison_is_reported_behind_the_tables() -> None:
    subjects = [Subject("old", (), ()), Subject("new", (), ())]
    _, told = report([], [ECHO], subjects, [row([10] * 5, [11] * 5)])
    assert told.startswith("Against the commit\n")
    assert told.endswith("WORSE")


def test_a_row_that_the_commit_cannot_do_is_new() -> None:
    *_, new = comparison([Row(ECHO, verdict="new")])
    assert new == ["64x125", "CPU µs/echo", *"-----", "new"]
