"""Which worker processes are started, and when, on a clock of the test's own."""

from __future__ import annotations

from math import inf

import pytest

from easews.operate.workers.supervision import (
    HOPELESS,
    LONGEST_PAUSE,
    MOST_SILENT,
    RECOVERED,
    SIGN_EVERY,
    Silence,
    Supervision,
    pause_after,
    worst,
)


def numbers(supervision: Supervision, now: float) -> list[int]:
    return [worker.number for worker in supervision.due(now)]


def start_all(count: int) -> Supervision:
    supervision = Supervision(count, 0.0)
    for number in range(1, count + 1):
        supervision.started(number, 0.0)
        supervision.ready(number, 0.0)
    return supervision


def test_the_first_is_started_alone_and_the_others_once_it_is_ready() -> None:
    supervision = Supervision(3, 10.0)
    assert numbers(supervision, 10.0) == [1]
    supervision.started(1, 10.0)
    assert supervision.next_due == inf
    supervision.ready(1, 11.0)
    assert numbers(supervision, 11.0) == [2, 3]


def test_all_has_settled_once_each_is_ready_or_has_failed() -> None:
    supervision = Supervision(2, 0.0)
    supervision.started(1, 0.0)
    settled = [supervision.has_settled]
    supervision.ready(1, 1.0)
    supervision.started(2, 1.0)
    settled.append(supervision.has_settled)
    supervision.ended(2, 2.0)
    settled.append(supervision.has_settled)
    supervision.started(2, 3.0)
    supervision.ready(2, 4.0)
    settled.append(supervision.has_settled)
    assert settled == [False, False, True, True]


def test_one_that_has_died_is_back_at_once_and_then_later_and_later() -> None:
    supervision = start_all(2)
    pauses = []
    now = 100.0
    for _ in range(8):
        pause = supervision.ended(2, now)
        assert pause is not None
        assert numbers(supervision, now + pause) == [2]
        assert pause == 0 or not numbers(supervision, now + pause - 0.1)
        pauses.append(pause)
        now += pause
        supervision.started(2, now)
        supervision.ready(2, now)
    assert pauses == [0, 1, 2, 4, 8, 16, 30, 30]
    assert supervision[2].restarts == 8
    assert supervision[1].restarts == 0


def test_nothing_is_started_while_an_upgrade_holds_it_back() -> None:
    supervision = start_all(2)
    supervision.held = True
    assert supervision.ended(2, 5.0) == 0
    assert numbers(supervision, 5.0) == []
    assert supervision.next_due == inf
    supervision.held = False
    assert numbers(supervision, 5.0) == [2]


def test_one_that_has_served_for_a_while_is_back_at_once_again() -> None:
    supervision = start_all(1)
    assert supervision.ended(1, 1.0) == 0
    supervision.started(1, 1.0)
    supervision.ready(1, 2.0)
    assert supervision.ended(1, 2.0 + RECOVERED) == 0


def test_the_longest_pause_is_bounded() -> None:
    assert pause_after(10_000) == LONGEST_PAUSE


def test_it_is_hopeless_when_none_has_ever_been_ready() -> None:
    supervision = Supervision(2, 0.0)
    for _ in range(HOPELESS):
        assert not supervision.is_hopeless
        supervision.started(1, 0.0)
        supervision.ended(1, 0.0)
    assert supervision.is_hopeless


def test_it_is_never_hopeless_once_one_was_ready() -> None:
    supervision = start_all(2)
    for _ in range(2 * HOPELESS):
        supervision.ended(1, 1.0)
        supervision.started(1, 1.0)
    assert not supervision.is_hopeless


def test_a_stop_starts_nothing_more_and_is_over_when_all_have_ended() -> None:
    supervision = start_all(3)
    supervision.ended(2, 1.0)
    assert [worker.number for worker in supervision.stop(1.0)] == [1, 3]
    assert numbers(supervision, 100.0) == []
    assert supervision.ended(1, 2.0) is None
    assert not supervision.is_over
    supervision.ready(3, 2.0)  # it was on its way
    assert supervision[3].state == "stopping"
    supervision.ended(3, 3.0)
    assert supervision.is_over


@pytest.mark.parametrize(
    ("statuses", "status"),
    [([0, 0], 0), ([0, 3], 3), ([3, 1, 0], 1), ([0, -9], 1), ([3, 2], 1), ([], 0)],
)
def test_the_worst_status_counts(statuses: list[int], status: int) -> None:
    assert worst(statuses) == status


def test_a_worker_that_answers_is_never_silent() -> None:
    silence = Silence()
    for _ in range(100):
        assert silence.ask()
        assert silence.answered() == 0
        assert not silence.look()
    assert not silence.is_too_long


def test_silence_is_noticed_once_and_is_too_long_after_a_while() -> None:
    silence = Silence()
    assert silence.ask()
    noticed, looks = [], 0
    while not silence.is_too_long:
        noticed.append(silence.look())
        looks += 1
        assert not silence.ask()  # one question is enough
    assert noticed == [True] + [False] * (looks - 1)
    assert looks * SIGN_EVERY == silence.seconds == MOST_SILENT


def test_an_answer_ends_the_silence() -> None:
    silence = Silence()
    assert silence.ask()
    silence.look()
    silence.look()
    assert silence.answered() == 2 * SIGN_EVERY
    assert silence.ask()
    assert silence.answered() == 0


def test_a_process_that_is_replaced_on_purpose_has_not_ended() -> None:
    workers = Supervision(1, 0.0)
    workers.started(1, 0.0)
    workers.ready(1, 1.0)
    workers.ended(1, 2.0)
    workers.started(1, 2.0)
    workers.ready(1, 3.0)
    workers.replaced(1, 4.0)
    assert (workers[1].state, workers[1].ends, workers[1].restarts) == ("ready", 0, 1)
    workers.stop(5.0)
    workers.replaced(1, 6.0)
    assert workers[1].state == "stopping"
