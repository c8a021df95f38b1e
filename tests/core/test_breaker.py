"""The circuit breaker: when it opens, what it lets through, and when it closes."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews.upstream.health.breaker import Breaker, BreakerRule, breaker_faults

RULE = BreakerRule(50, window=4, minimum=3, wait=10.0, trials=2, on=frozenset())
#: It opens with the first failure, and is half-open soon.
QUICK = BreakerRule(50, window=1, minimum=1, wait=1.0, trials=1, on=frozenset())


def seen(breaker: Breaker, *failed: bool, now: float = 0.0) -> list[bool]:
    """What the breaker says of requests that end in this way."""
    said = []
    for one in failed:
        breaker.begun()
        said.append(breaker.ended(breaker.openings, one, now))
    return said


def test_it_opens_when_too_many_of_the_last_requests_fail() -> None:
    breaker = Breaker(RULE)
    assert seen(breaker, True, True) == [False, False]  # too few to say
    assert breaker.permits(0.0)
    assert seen(breaker, True) == [True]
    assert not breaker.permits(9.9)
    assert breaker.permits(10.0)


def test_the_share_that_opens_it_is_exact() -> None:
    for failures, opens in ((100, False), (101, True)):
        breaker = Breaker(
            BreakerRule(50, window=201, minimum=201, wait=1, trials=1, on=frozenset())
        )
        seen(breaker, *[False] * (201 - failures), *[True] * failures)
        assert breaker.permits(0.0) is not opens


def test_what_is_long_past_does_not_count() -> None:
    breaker = Breaker(RULE)
    assert not any(seen(breaker, True, False, False, False, False, True))
    assert seen(breaker, True) == [True]  # two of the last four


def test_after_the_wait_a_few_are_tried_and_close_it() -> None:
    breaker = Breaker(RULE)
    seen(breaker, True, True, True)
    assert not breaker.begun()
    assert breaker.permits(10.0)
    assert breaker.begun()
    assert not breaker.permits(10.0)
    assert not breaker.ended(1, False, 11.0)
    assert breaker.ended(1, False, 11.0)
    assert breaker.permits(11.0)
    assert seen(breaker, True, True) == [False, False]  # nothing of before counts


def test_requests_are_no_trials_while_it_is_closed() -> None:
    breaker = Breaker(RULE)
    assert not any(breaker.begun() for _ in range(5))
    assert breaker.permits(0.0)


def test_a_trial_from_before_it_opened_again_says_nothing() -> None:
    breaker = Breaker(RULE)
    seen(breaker, True, True, True)
    early = breaker.openings
    seen(breaker, True, now=10.0)
    for _ in range(RULE.trials):
        assert not breaker.ended(early, False, 20.0)


def test_one_that_fails_then_opens_it_again() -> None:
    breaker = Breaker(RULE)
    seen(breaker, True, True, True)
    assert seen(breaker, True, now=10.0) == [True]
    assert not breaker.permits(19.9)
    assert breaker.permits(20.0)


@pytest.mark.parametrize("failed", [True, False])
@pytest.mark.parametrize("now", [1.0, 11.0])
def test_a_request_from_before_it_opened_says_nothing(failed: bool, now: float) -> None:
    breaker = Breaker(RULE)
    seen(breaker, True, True, True)
    for _ in range(RULE.trials):
        assert not breaker.ended(0, failed, now)
    assert not breaker.permits(9.9)
    assert seen(breaker, False, False, now=11.0) == [False, True]


def test_a_client_that_leaves_takes_no_trial_away() -> None:
    breaker = Breaker(RULE)
    seen(breaker, True, True, True)
    assert not breaker.begun()
    assert breaker.given_up(1)
    assert not breaker.begun()
    assert breaker.begun()


def test_a_client_from_before_it_opened_gives_no_trial_back() -> None:
    breaker = Breaker(RULE)
    seen(breaker, True, True, True)
    assert not breaker.begun()
    assert not breaker.given_up(0)
    assert breaker.begun()
    assert not breaker.permits(10.0)


def test_what_was_asked_before_it_opened_does_not_count_when_it_is_closed_again() -> None:
    breaker = Breaker(RULE)
    seen(breaker, True, True, True)
    seen(breaker, False, False, now=10.0)
    assert not any(breaker.ended(0, True, 11.0) for _ in range(RULE.minimum))
    assert breaker.permits(11.0)


STEPS = st.tuples(
    st.sampled_from(["begins"] * 4 + ["fails", "answers", "leaves", "time passes"]),
    st.integers(0, 9),
)


@given(st.lists(STEPS, max_size=80))
def test_whatever_happens_there_are_few_trials_and_it_never_stays_open(
    steps: list[tuple[str, int]],
) -> None:
    breaker, now = Breaker(QUICK), 0.0
    requests: list[int] = []
    for step, number in steps:
        if step == "time passes":
            now += number
        elif step == "begins" and breaker.permits(now):
            requests.append(breaker.openings)
            breaker.begun()
        elif step == "leaves" and requests:
            breaker.given_up(requests.pop(number % len(requests)))
        elif step in ("fails", "answers") and requests:
            breaker.ended(requests.pop(number % len(requests)), step == "fails", now)
        trials = requests.count(breaker.openings)
        assert breaker.until == -inf or trials <= QUICK.trials
    for request in requests:
        breaker.given_up(request)
    assert breaker.permits(now + QUICK.wait)


def test_a_breaker_remembers_as_many_as_it_needs() -> None:
    spec = {"minimumNumberOfCalls": 11, "slidingWindowSize": 10}
    (fault,) = breaker_faults(spec, ("circuitBreaker",))
    assert fault.path == ("circuitBreaker", "minimumNumberOfCalls")
    assert not list(breaker_faults({**spec, "slidingWindowSize": 11}, ()))
