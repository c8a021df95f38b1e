"""The wheel beside a model that keeps every item's time in a dict."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from easews_wsproxy.relay.timers import Wheel

RESOLUTION = 0.5


class Item:
    def __init__(self) -> None:
        self.wake = inf
        self.slot = 0


def test_an_item_is_due_after_its_time_and_only_once() -> None:
    wheel: Wheel[Item] = Wheel(100.0, RESOLUTION)
    item = Item()
    wheel.schedule(item, 103.0)

    assert wheel.due(102.9) == []
    assert wheel.due(103.6) == [item]
    assert wheel.due(200.0) == []


def test_a_look_takes_what_is_due_and_nothing_of_the_next_slot() -> None:
    wheel: Wheel[Item] = Wheel(0.0, 1.0)
    items = [Item() for _ in range(4)]
    for item, when in zip(items, (2.5, 3.5, 4.5, 5.5), strict=True):
        wheel.schedule(item, when)

    assert wheel.due(3.0) == items[:1]
    assert wheel.due(6.0) == items[1:]


def test_a_wheel_may_turn_slowly() -> None:
    wheel: Wheel[Item] = Wheel(100.0, 2.0)
    item = Item()
    wheel.schedule(item, 110.0)

    assert wheel.due(109.0) == []
    assert wheel.due(112.0) == [item]


def test_a_time_that_has_passed_is_due_at_the_next_look() -> None:
    wheel: Wheel[Item] = Wheel(100.0, RESOLUTION)
    item = Item()
    wheel.schedule(item, 7.0)

    assert wheel.due(100.0 + RESOLUTION) == [item]


def test_an_earlier_time_counts_and_a_later_one_does_not() -> None:
    wheel: Wheel[Item] = Wheel(0.0, RESOLUTION)
    item = Item()
    for when in (10.0, 5.0, 20.0):
        wheel.schedule(item, when)

    assert wheel.due(6.0) == [item]
    assert wheel.due(30.0) == []


def test_an_item_that_was_due_may_be_scheduled_again_where_its_old_entry_lies() -> None:
    wheel: Wheel[Item] = Wheel(0.0, RESOLUTION)
    item = Item()
    wheel.schedule(item, 10.0)
    wheel.schedule(item, 5.0)
    assert wheel.due(6.0) == [item]

    wheel.schedule(item, 10.0)

    assert wheel.due(11.0) == [item]


def test_what_is_forgotten_is_not_kept() -> None:
    wheel: Wheel[Item] = Wheel(0.0, RESOLUTION)
    item, other = Item(), Item()
    for one in (item, other):
        wheel.schedule(one, 10.0)
    wheel.forget(item)
    wheel.forget(item)

    assert wheel.due(11.0) == [other]
    assert not wheel


def test_infinity_is_never() -> None:
    wheel: Wheel[Item] = Wheel(0.0, RESOLUTION)
    item = Item()
    wheel.schedule(item, inf)

    assert not wheel
    assert wheel.due(1e9) == []


def test_a_wheel_with_nothing_left_in_it_is_false() -> None:
    wheel: Wheel[Item] = Wheel(0.0, RESOLUTION)
    assert not wheel

    wheel.schedule(Item(), 1.0)
    assert wheel
    wheel.due(2.0)

    assert not wheel


class Model:
    """Due is what was wanted in a slot that is over: an item's time, or the time of asking."""

    def __init__(self, now: float) -> None:
        self.slot = int(now / RESOLUTION)
        self.slots: dict[Item, int] = {}

    def schedule(self, item: Item, when: float) -> None:
        self.slots[item] = max(int(when / RESOLUTION), self.slot)

    def due(self, now: float) -> set[Item]:
        self.slot = int(now / RESOLUTION)
        found = {item for item, slot in self.slots.items() if slot < self.slot}
        for item in found:
            del self.slots[item]
        return found


# (which item, how far ahead it is wanted); or None and how long until the next look.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 3), st.floats(-5, 60)), st.tuples(st.none(), st.floats(0, 40))
    ),
    max_size=40,
)


@given(st.floats(0, 1e6), STEPS)
def test_the_wheel_says_what_the_model_says(
    now: float, steps: list[tuple[int | None, float]]
) -> None:
    wheel: Wheel[Item] = Wheel(now, RESOLUTION)
    model = Model(now)
    items = [Item() for _ in range(4)]
    for number, seconds in steps:
        if number is None:
            now += seconds
            due = wheel.due(now)
            assert len(due) == len(set(due))
            assert set(due) == model.due(now)
            assert all(item.wake == inf for item in due)
        elif now + seconds < items[number].wake:
            wheel.schedule(items[number], now + seconds)
            model.schedule(items[number], now + seconds)
