"""Which servers of a pool are well, as rules over numbers: no server, no clock."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews.upstream.health.rules import (
    Checkup,
    Condition,
    Ejection,
    EjectionRule,
    slow_start,
    usable,
)

RULES = st.builds(EjectionRule, st.integers(1, 4), st.sampled_from([1.0, 5.0, 10.0]), st.just(80.0))
#: What happens to a server: a request fails or is answered, or time passes.
STEPS = st.lists(st.sampled_from(["fail", "succeed", 1, 7, 60, 1000]), max_size=60)


def test_a_server_is_up_until_checks_in_a_row_have_failed() -> None:
    checkup = Checkup(fails=3, passes=2)
    assert checkup.up
    assert [checkup.failed("refused", now) for now in (1, 2)] == [False, False]
    assert not checkup.passed(3)  # now they begin anew
    assert [checkup.failed("refused", now) for now in (4, 5, 6, 7)] == [False, False, True, False]
    assert (checkup.up, checkup.since, checkup.last_error) == (False, 6, "refused")


def test_a_server_that_is_down_is_up_again_after_passes_in_a_row() -> None:
    checkup = Checkup(fails=1, passes=2)
    assert checkup.failed("refused", 1)
    assert not checkup.passed(2)
    assert not checkup.failed("no answer within 3 s", 3)
    assert [checkup.passed(now) for now in (4, 5, 6)] == [False, True, False]
    assert (checkup.up, checkup.since, checkup.last_error) == (True, 5, "no answer within 3 s")


@given(st.lists(st.booleans()), st.integers(1, 4), st.integers(1, 4))
def test_a_server_changes_only_after_as_many_checks_as_that_takes(
    results: list[bool], fails: int, passes: int
) -> None:
    checkup = Checkup(fails, passes)
    for now, well in enumerate(results, 1):
        before = checkup.up
        changed = checkup.passed(now) if well else checkup.failed("", now)
        assert changed is (before is not checkup.up)
        if changed:
            enough = passes if well else fails
            assert results[now - enough : now] == [well] * enough
            assert checkup.since == now
        else:  # the last `enough` would have changed it
            enough = fails if before else passes
            assert results[now - enough : now] != [not before] * enough


def test_failures_in_a_row_eject_a_server_for_a_while() -> None:
    rule, ejection = EjectionRule(failures=3, shortest=10), Ejection()
    assert [ejection.failed(rule, "refused", now) for now in (1, 2)] == [False, False]
    assert not ejection.succeeded(3)
    assert [ejection.failed(rule, "refused", now) for now in (4, 5, 6)] == [False, False, True]
    condition = Condition(None, ejection)
    assert [condition.ejected(now) for now in (6, 15.9, 16)] == [True, True, False]
    assert ejection.last_error == "refused"


def test_a_failure_of_one_that_was_asked_before_the_ejection_does_not_make_it_longer() -> None:
    rule, ejection = EjectionRule(failures=1, shortest=10), Ejection()
    assert ejection.failed(rule, "refused", 0)
    assert not ejection.failed(rule, "refused", 9)
    assert ejection.until == 10


def test_a_server_that_fails_again_is_ejected_at_once_and_for_longer_each_time() -> None:
    rule, ejection = EjectionRule(failures=3, shortest=10, longest=60), Ejection()
    for _ in range(2):
        ejection.failed(rule, "refused", 0)
    lengths = []
    for _ in range(5):
        now = max(ejection.until, 0.0)
        assert ejection.failed(rule, "refused", now)
        lengths.append(ejection.until - now)
    assert lengths == [10, 20, 40, 60, 60]


@pytest.mark.parametrize(
    ("good", "length"), [(0, 80), (39, 80), (40, 40), (80, 20), (120, 10), (4000, 10)]
)
def test_good_time_makes_the_next_ejection_shorter(good: float, length: float) -> None:
    rule = EjectionRule(failures=1, shortest=10, longest=300)
    ejection = Ejection(since=0, until=40)
    assert ejection.failed(rule, "refused", 40 + good)
    assert ejection.until - ejection.since == length


def test_a_request_that_is_answered_brings_the_server_back() -> None:
    ejection = Ejection()
    ejection.failed(EjectionRule(failures=1), "refused", 0)
    assert ejection.succeeded(4)
    assert not Condition(None, ejection).ejected(4)
    assert [ejection.succeeded(now) for now in (4, 5)] == [False, False]


def test_a_server_that_is_back_at_once_is_ejected_for_the_shortest_time() -> None:
    rule, ejection = EjectionRule(failures=1, shortest=10), Ejection()
    ejection.failed(rule, "refused", 5)
    assert ejection.succeeded(5)
    assert ejection.failed(rule, "refused", 5)
    assert ejection.until == 15


def test_no_failures_eject_where_that_is_off() -> None:
    ejection = Ejection()
    assert not any(ejection.failed(EjectionRule(failures=0), "refused", now) for now in range(9))


@given(RULES, STEPS)
def test_an_ejection_is_never_shorter_or_longer_than_the_rule_says(
    rule: EjectionRule, steps: list[str | int]
) -> None:
    ejection, now, row = Ejection(), 0.0, 0
    for step in steps:
        if isinstance(step, int):
            now += step
        elif step == "succeed":
            row = 0
            ejection.succeeded(now)
            assert now >= ejection.until
        else:
            was_out = now < ejection.until
            row += not was_out
            assert ejection.failed(rule, "refused", now) is (not was_out and row >= rule.failures)
            if not was_out and row >= rule.failures:
                assert rule.shortest <= ejection.until - now <= rule.longest


CONDITIONS = st.builds(
    lambda down, since, until: Condition(Checkup(up=not down), Ejection(0, since, until)),
    st.booleans(),
    st.integers(-20, 0),
    st.sampled_from([-5, 5, 10, 20]),
)
POOLS = st.lists(CONDITIONS, max_size=9)
PERCENT = st.integers(1, 100)


@given(POOLS, PERCENT)
def test_ejection_never_empties_a_pool_and_keeps_to_its_share(
    pool: list[Condition], share: int
) -> None:
    found = usable(pool, share, 0, 0)
    up = [index for index, one in enumerate(pool) if one.up]
    assert bool(found.servers) is bool(up)
    assert set(found.servers) <= set(up)
    out = set(up) - set(found.servers)
    assert all(pool[index].ejected(0) for index in out)
    assert len(out) <= max(len(pool) * share / 100, 1)
    assert not found.panic


@given(POOLS, PERCENT)
def test_nothing_changes_before_the_time_at_which_it_may(pool: list[Condition], share: int) -> None:
    found = usable(pool, share, 0, 0)
    later = usable(pool, share, 0, min(found.until, 1000) - 0.5)
    assert later == found
    assert (found.until < inf) is any(one.up and one.ejected(0) for one in pool)


@given(POOLS, PERCENT)
def test_all_servers_are_used_exactly_when_too_few_are_well(
    pool: list[Condition], below: int
) -> None:
    well = usable(pool, 50, 0, 0)
    found = usable(pool, 50, below, 0)
    assert found.panic is (len(well.servers) * 100 < below * len(pool))
    assert found.servers == (list(range(len(pool))) if found.panic else well.servers)


def pool(*ejected_since: float | None) -> list[Condition]:
    """Servers that are out since then, or not at all."""
    return [
        Condition(None, Ejection() if since is None else Ejection(0, since, since + 100))
        for since in ejected_since
    ]


@pytest.mark.parametrize(
    ("conditions", "share", "left"),
    [
        (pool(None, 1), 50, [0]),
        (pool(2, 1), 50, [0]),  # what was ejected first stays out
        (pool(1), 100, [0]),
        (pool(1, None, None), 10, [1, 2]),  # one may always be out
        (pool(1, 2, None, None), 50, [2, 3]),
        (pool(1, 2, 3, None), 50, [2, 3]),
        (pool(1, 2, 3), 100, [0, 1, 2]),
    ],
)
def test_some_of_the_ejected_come_back_when_too_many_are_out(
    conditions: list[Condition], share: int, left: list[int]
) -> None:
    assert usable(conditions, share, 0, 3).servers == left


def test_without_a_server_that_is_up_there_is_none() -> None:
    down = Condition(Checkup(up=False), Ejection())
    assert usable([down, down], 50, 0, 0).servers == []
    assert usable([down, down], 50, 1, 0) == ([0, 1], inf, True)


def test_there_is_panic_when_one_server_less_than_enough_is_left() -> None:
    up, down = Condition(None, Ejection()), Condition(Checkup(up=False), Ejection())
    for left, panic in ((100, True), (101, False)):
        assert usable([up] * left + [down] * (201 - left), 50, 50, 0).panic is panic


def test_a_server_that_is_back_gets_its_weight_little_by_little() -> None:
    shares = [slow_start(100, 30, now) for now in (100, 110, 115, 130, 999)]
    assert shares == pytest.approx([0.1, 0.4, 0.55, 1, 1])
    assert slow_start(-inf, 30, 0) == 1
    assert slow_start(5, 0, 5) == 1


def test_a_server_is_back_since_it_passed_or_its_ejection_ended() -> None:
    assert Condition(None, Ejection()).back_since(9) == -inf
    assert Condition(Checkup(since=4), Ejection(0, 1, 3)).back_since(9) == 4
    assert Condition(Checkup(since=4), Ejection(0, 1, 7)).back_since(9) == 7
    assert Condition(None, Ejection(0, 1, 9)).back_since(9) == 9
    assert Condition(None, Ejection(0, 1, 99)).back_since(9) == -inf
