"""How long a client has to wait that sends more than it may."""

from __future__ import annotations

from easews_wsproxy.relay.rates import Meter, Rate


def test_a_seconds_worth_may_come_at_once() -> None:
    meter = Meter(Rate(messages=10, bytes=100), now=0.0)
    assert meter.take(10, 100, now=0.0) == 0


def test_what_is_over_the_rate_has_to_wait_for_its_time() -> None:
    assert Meter(Rate(messages=10), now=0.0).take(15, 0, now=0.0) == 0.5
    assert Meter(Rate(bytes=100), now=0.0).take(0, 300, now=0.0) == 2.0
    assert Meter(Rate(messages=10, bytes=100), now=0.0).take(15, 300, now=0.0) == 2.0


def test_only_what_is_new_counts() -> None:
    meter = Meter(Rate(messages=10, bytes=100), now=0.0)
    assert meter.take(6, 60, now=0.0) == 0
    assert meter.take(10, 100, now=0.0) == 0
    assert meter.take(11, 100, now=0.0) == 0.1


def test_time_that_passes_gives_more_room() -> None:
    meter = Meter(Rate(messages=10, bytes=100), now=5.0)
    meter.take(10, 100, now=5.0)
    assert meter.take(15, 150, now=5.5) == 0
    assert meter.take(16, 150, now=5.5) == 0.1
    assert meter.take(16, 160, now=5.5) == 0.1


def test_what_was_not_used_is_not_saved_for_later() -> None:
    meter = Meter(Rate(messages=10, bytes=100), now=0.0)
    assert meter.take(11, 0, now=60.0) == 0.1
    meter = Meter(Rate(messages=10, bytes=100), now=0.0)
    assert meter.take(0, 110, now=60.0) == 0.1
