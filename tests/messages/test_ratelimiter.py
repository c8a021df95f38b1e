"""MessageRateLimiter: what is over the limit waits, is dropped, or ends the session."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from easews import ConfigError
from easews.testing import Conversation, conversation, make_filter
from easews_messages.meters import Meters, Rates
from easews_messages.ratelimiter import MessageRateLimiter
from easews_messages.reading import IN_PLACE


def limiter(**spec: Any) -> MessageRateLimiter:
    return make_filter(MessageRateLimiter, **spec)


async def passes(talk: Conversation, text: str = "x") -> bool:
    """Whether the client's next message comes through, by a limiter that drops."""
    await talk.client.sends(text)
    await talk.backend.rest()
    came = [*talk.backend.heard]
    talk.backend.heard.clear()
    return came == [text]


async def test_messages_over_the_rate_wait_and_keep_their_order() -> None:
    async with conversation(limiter(messages=2)) as talk:
        await talk.client.sends(*"abcde")
        await talk.backend.receives("a", "b")
        await talk.backend.receives_nothing()
        await talk.clock.advance(0.5)
        await talk.backend.receives("c")
        await talk.backend.receives_nothing()
        await talk.clock.advance(1)
        await talk.backend.receives("d", "e")


async def test_the_other_side_is_not_limited() -> None:
    async with conversation(limiter(messages=1)) as talk:
        await talk.backend.sends(*"abc")
        await talk.client.receives(*"abc")


async def test_both_sides_are_counted_apart() -> None:
    async with conversation(limiter(messages=1, over="drop", **{"from": "both"})) as talk:
        await talk.client.sends("a", "b")
        await talk.backend.sends("c", "d")
        await talk.backend.receives("a")
        await talk.client.receives("c")
        await talk.backend.receives_nothing()
        await talk.client.receives_nothing()


async def test_bytes_are_those_of_the_content() -> None:
    async with conversation(limiter(bytes=10, over="drop")) as talk:
        assert await passes(talk, "ü" * 4)
        assert not await passes(talk, "ü" * 2)
        assert await passes(talk, "ü")
        await talk.clock.advance(0.5)
        assert await passes(talk, "12345")


async def test_a_message_larger_than_a_burst_passes_when_nothing_is_owed() -> None:
    async with conversation(limiter(bytes=10, over="drop")) as talk:
        assert await passes(talk, "x" * 30)
        await talk.clock.advance(1.5)
        assert not await passes(talk)
        await talk.clock.advance(1)
        assert await passes(talk)


async def test_a_burst_is_a_number_of_seconds() -> None:
    async with conversation(limiter(messages=2, burst="3s", over="drop")) as talk:
        assert [await passes(talk) for _ in range(7)] == [True] * 6 + [False]


async def test_who_is_over_may_be_closed() -> None:
    async with conversation(limiter(messages=1, over="close")) as talk:
        await talk.client.sends("a", "b")
        await talk.is_closed_with(1008, "too many messages")
        await talk.backend.receives("a")


async def test_what_is_dropped_does_not_count() -> None:
    async with conversation(limiter(messages=1, over="drop")) as talk:
        assert [await passes(talk) for _ in range(10)] == [True] + [False] * 9
        await talk.clock.advance(1)
        assert await passes(talk)


async def test_a_pause_may_be_longer_than_other_hooks_may_take() -> None:
    assert MessageRateLimiter.hook_timeout == inf
    async with conversation(limiter(messages=0.01)) as talk:
        await talk.client.sends("a", "b")
        await talk.backend.receives("a")
        await talk.clock.advance(99)
        await talk.backend.receives_nothing()
        await talk.clock.advance(1)
        await talk.backend.receives("b")


async def test_who_leaves_while_waiting_is_not_charged() -> None:
    async with conversation(limiter(messages=1)) as talk:
        await talk.client.sends("a", "b")
        other = await talk.another(client="192.0.2.1")
        await talk.client.vanishes()
        await talk.clock.advance(1)
        await other.client.sends("c")
        await other.backend.receives("c")


# Keys


@pytest.mark.parametrize(
    ("first", "second", "is_shared"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", "", True),
    ],
)
async def test_sessions_of_a_client_share_a_limit(first: str, second: str, is_shared: bool) -> None:
    async with conversation(limiter(messages=1, over="drop"), client=first) as talk:
        other = await talk.another(client=second)
        assert await passes(talk)
        assert await passes(other) is not is_shared


async def test_a_session_may_be_counted_by_itself() -> None:
    made = limiter(messages=1, by="session", over="drop")
    async with conversation(made) as talk:
        other = await talk.another(client="192.0.2.1")
        assert [await passes(talk), await passes(other), await passes(talk)] == [True, True, False]
        await other.ends()
        assert len(made._meters) == 1


async def test_sessions_of_a_user_share_a_limit() -> None:
    made = limiter(messages=1, by="label", over="drop")
    async with conversation(made, labels={"user": "ann"}) as talk:
        ann = await talk.another(client="192.0.2.9", labels={"user": "ann"})
        bob = await talk.another(labels={"user": "bob"})
        nobody = await talk.another(client="192.0.2.8")
        assert await passes(talk)
        assert [await passes(it) for it in (ann, bob, nobody)] == [False, True, True]


async def test_messages_may_be_counted_by_a_field() -> None:
    made = limiter(messages=1, by="field", field="$.room", over="drop")
    async with conversation(made) as talk:
        assert await passes(talk, '{"room": "a"}')
        assert await passes(talk, '{"room": "b"}')
        assert await passes(talk, '{"room": 1}')
        assert await passes(talk, '{"room": "1"}')
        assert not await passes(talk, '{"text": "", "room": "a"}')


@pytest.mark.parametrize("odd", ["{}", "no JSON", '{"room": [1]}', '{"room": null}', '{"room"'])
async def test_a_message_without_the_field_counts_for_the_client(odd: str) -> None:
    made = limiter(messages=1, by="field", field="$.room", over="drop")
    async with conversation(made) as talk:
        assert await passes(talk, odd)
        assert not await passes(talk, "[]")
        assert await passes(await talk.another(client="192.0.2.7"), odd)


async def test_large_messages_are_counted_by_their_field_in_order() -> None:
    large = f'{{"room": "a", "text": "{"x" * IN_PLACE}"}}'
    async with conversation(limiter(messages=1, by="field", field="$.room")) as talk:
        await talk.client.sends(large, large, '{"room": "b"}')
        await talk.backend.receives(large)
        await talk.backend.receives_nothing()
        await talk.clock.advance(1)
        await talk.backend.receives(large, '{"room": "b"}')


async def test_no_more_than_so_many_keys_are_remembered() -> None:
    made = limiter(messages=1, by="field", field="$", over="drop", maxKeys=2)
    async with conversation(made) as talk:
        sent = ['"a"', '"b"', '"a"', '"c"', '"a"', '"b"']
        came = [await passes(talk, text) for text in sent]
        assert came == [True, True, False, True, False, True]  # b was forgotten
        assert len(made._meters) == 2


async def test_a_key_is_short_whatever_a_client_writes() -> None:
    made = limiter(messages=1, by="field", field="$", over="drop")
    async with conversation(made) as talk:
        await talk.client.sends(f'"{"x" * 10_000}"')
        await talk.backend.next_message()
        (key,) = made._meters._paid
        assert len(repr(key)) < 100


# Reloads


@pytest.mark.parametrize(
    ("changes", "is_counted_on"),
    [
        ({"messages": 2}, True),
        ({"messages": 2, "maxKeys": 5}, True),
        ({"messages": 1, "by": "label"}, False),
    ],
)
async def test_what_was_counted_stays_over_a_change_of_the_config(
    changes: dict[str, Any], is_counted_on: bool
) -> None:
    old = limiter(messages=1, burst="1s", over="drop")
    new = limiter(**{"burst": "1s", "over": "drop", **changes})
    async with conversation(old) as before:
        assert await passes(before)
        new.inherit(old)
        async with conversation(new) as after:
            assert await passes(after) is not is_counted_on


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({}, "made.filters[0]"),
        ({"bytes": 0}, "made.filters[0].bytes"),
        ({"messages": 1, "by": "field"}, "made.filters[0]"),
        ({"messages": 1, "field": "room"}, "made.filters[0].field"),
    ],
)
def test_a_config_with_a_fault_is_told_where(spec: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        limiter(**spec)
    assert [problem.path for problem in caught.value.problems] == [path]


# Meters by themselves


def test_a_meter_never_owes_time_that_has_passed() -> None:
    meters, costs = Meters(None), Rates(1, None, 1).costs(0)
    meters.charge("a", costs, 0.0)
    meters.charge("a", costs, 100.0)
    assert meters.wait("a", costs, 1, 100.0) == 1.0
    assert meters.wait("a", costs, 1, 101.0) == 0.0


def test_the_longer_of_both_waits_counts() -> None:
    meters, rates = Meters(None), Rates(10, 100, 1)
    meters.charge("a", rates.costs(100), 0.0)
    assert meters.wait("a", rates.costs(50), 1, 0.0) == 0.5
    assert meters.wait("a", rates.costs(0), 1, 0.0) == 0.0


def test_who_waits_is_charged_so_that_the_next_waits_longer() -> None:
    meters, costs = Meters(None), Rates(1, None, 1).costs(0)
    for number in range(4):
        assert meters.wait("a", costs, 1, 0.0) == number
        meters.charge("a", costs, 0.0)
    meters.refund("a", costs)
    assert meters.wait("a", costs, 1, 0.0) == 3
    meters.refund("b", costs)  # forgotten meanwhile
    assert len(meters) == 1
