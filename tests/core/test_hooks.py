"""What filters do with the sessions and messages that pass them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Iterator
from inspect import isawaitable
from itertools import repeat
from math import inf
from typing import Any

import anyio
import pytest

from easews import Close, Ending, Filter, Message, Opening, Reads, Session
from easews.pipeline.hooks import SessionHooks
from easews.pipeline.hooksteps import step_of
from easews.testing import OpenSession

FAILED = [Close(1011, "a filter failed")]


def make(filter_class: type[Filter], **spec: Any) -> Filter:
    return filter_class(filter_class.kind.lower(), spec)


def hooks(*filters: Filter) -> SessionHooks:
    steps = [step_of(each, f"filter {each.name}") for each in filters]
    return SessionHooks([step for step in steps if step is not None])


def session() -> OpenSession:
    return OpenSession(Opening("7"))


def from_client(data: str | bytes = "hi") -> Message:
    return Message(data, "client")


async def passed(hooked: SessionHooks, message: Message) -> list[Message | Close]:
    outcome = hooked.message(session(), message)
    if isawaitable(outcome):
        outcome = await outcome
    return [outcome] if isinstance(outcome, Message) else list(outcome)


def data_of(outputs: list[Message | Close]) -> list[object]:
    return [output.data if isinstance(output, Message) else output for output in outputs]


class Returns(Filter):
    """Returns what its spec says."""

    kind = "Returns"

    def on_message(self, session: Session, message: Message) -> Any:
        return self.spec["result"]


class Adds(Filter):
    """Adds a letter."""

    kind = "Adds"

    def on_message(self, session: Session, message: Message) -> Any:
        return message.data + self.spec["letter"]


class AddsLater(Adds):
    """Adds a letter after it has waited."""

    kind = "AddsLater"

    async def on_message(self, session: Session, message: Message) -> Any:
        await anyio.lowlevel.checkpoint()
        return message.data + self.spec["letter"]


class Doubles(Filter):
    """Sends each message twice."""

    kind = "Doubles"

    def on_message(self, session: Session, message: Message) -> Any:
        return [message, message]


class Raises(Filter):
    """Raises."""

    kind = "Raises"

    def on_message(self, session: Session, message: Message) -> Any:
        raise RuntimeError("oh")


class RaisesLater(Filter):
    """Raises after it has waited."""

    kind = "RaisesLater"
    hook_timeout = 5.0

    async def on_message(self, session: Session, message: Message) -> Any:
        await anyio.lowlevel.checkpoint()
        raise RuntimeError("oh")


class Silent(Filter):
    """Has no hook for sessions."""

    kind = "Silent"

    async def handle(self, ctx: Any) -> None: ...


def test_a_filter_without_a_hook_is_no_step() -> None:
    assert step_of(make(Silent), "silent") is None


def test_a_message_that_nobody_changes_is_the_very_message() -> None:
    class Looks(Filter):
        """Looks."""

        kind = "Looks"

        def on_message(self, session: Session, message: Message) -> Message:
            return message

    message = from_client()
    assert hooks(make(Looks), make(Looks)).message(session(), message) is message


@pytest.mark.parametrize("b", [Adds, AddsLater])
@pytest.mark.parametrize("a", [Adds, AddsLater])
async def test_the_way_in_is_the_flow_and_the_way_out_its_reverse(
    a: type[Filter], b: type[Filter]
) -> None:
    both = hooks(make(a, letter="a"), make(b, letter="b"))
    assert data_of(await passed(both, Message(">", "client"))) == [">ab"]
    assert data_of(await passed(both, Message("<", "backend"))) == ["<ba"]


@pytest.mark.parametrize("adds", [Adds, AddsLater])
async def test_each_of_several_messages_meets_the_filters_behind(adds: type[Filter]) -> None:
    both = hooks(make(Doubles), make(adds, letter="!"))
    assert data_of(await passed(both, from_client())) == ["hi!", "hi!"]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (None, []),
        ("ho", ["ho"]),
        (b"ho", [b"ho"]),
        (from_client("ho"), ["ho"]),
        ([], []),
        (("a", b"b"), ["a", b"b"]),
        (Close(4000, "enough"), [Close(4000, "enough")]),
        (["bye", Close(4000), "never"], ["bye", Close(4000)]),
    ],
)
async def test_what_a_hook_may_return(result: object, expected: list[object]) -> None:
    assert data_of(await passed(hooks(make(Returns, result=result)), from_client())) == expected


@pytest.mark.parametrize(
    "result",
    [
        *(7, True, bytearray(b"x"), {"a": 1}, ["a", 7], Close(1005), Close(99), object()),
        *(Close(1000, 7), from_client(None), from_client(bytearray(b"x"))),  # type: ignore[arg-type]
    ],
)
async def test_nonsense_is_logged_and_closes_the_session(
    result: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    hooked = hooks(make(Returns, result=result))
    assert await passed(hooked, from_client("secret")) == FAILED
    assert "session 7: on_message of filter returns returned" in caplog.text
    assert "(onError: close)" in caplog.text
    assert "session 7: filter returns ends it with 1011" in caplog.text
    assert "secret" not in caplog.text


async def test_the_log_says_what_a_hook_may_return(caplog: pytest.LogCaptureFixture) -> None:
    await passed(hooks(make(Returns, result=7, onError="pass")), from_client())
    assert (
        "returned an object of int; it may return a message, text, bytes, a list of these, a Close "
        "or None (onError: pass)"
    ) in caplog.text


async def test_a_dropped_message_is_told_once_a_session(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    forgets, empties = make(Returns, result=None), make(Returns, result=[])
    for hooked in (hooks(forgets), hooks(empties), hooks(make(Raises, onError="drop"))):
        for it in (session(), session()):
            for _ in range(3):
                assert not hooked.message(it, from_client())
    told = [text for text in caplog.messages if "None" in text]
    assert (
        told
        == [
            "session 7: on_message of filter returns returned None: the message was dropped "
            "(told once a session)"
        ]
        * 2
    )  # one for each session


@pytest.mark.parametrize("raises", [Raises, RaisesLater])
@pytest.mark.parametrize(
    ("spec", "expected"),
    [({}, FAILED), ({"onError": "pass"}, ["hi"]), ({"onError": "drop"}, [])],
)
async def test_a_hook_that_raises_is_dealt_with_by_on_error(
    raises: type[Filter], spec: dict[str, str], expected: object, caplog: pytest.LogCaptureFixture
) -> None:
    step = step_of(make(raises, **spec), "filter raises (package p)")
    assert step is not None
    assert data_of(await passed(SessionHooks([step]), from_client())) == expected
    assert "session 7: " in caplog.text
    assert f"filter raises (package p) raised (onError: {step.on_error})" in caplog.text
    assert step.counts.calls == step.counts.errors == 1


BASE_EXCEPTIONS = [GeneratorExit, SystemExit, asyncio.CancelledError]


@pytest.mark.parametrize("error", [RuntimeError, *BASE_EXCEPTIONS])
async def test_a_generator_may_raise_half_way(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Iterator[str]:
        yield "a"
        raise error

    assert await passed(hooks(make(Returns, result=broken())), from_client()) == FAILED


@pytest.mark.parametrize("error", BASE_EXCEPTIONS)
async def test_whatever_a_plain_hook_raises_comes_no_further(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    class Breaks(Filter):
        """Raises what would end a task."""

        kind = "Breaks"

        def on_open(self, session: Session) -> None:
            raise error

        def on_message(self, session: Session, message: Message) -> None:
            raise error

    hooked = hooks(make(Breaks))
    assert hooked.opened(session()) is None
    assert await passed(hooked, from_client()) == FAILED


async def test_a_generator_without_end_is_nonsense(caplog: pytest.LogCaptureFixture) -> None:
    assert await passed(hooks(make(Returns, result=repeat("a"))), from_client()) == FAILED
    assert "over 1024 messages in place of one" in caplog.text


async def test_the_log_tells_which_filter_ends_a_session(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await passed(hooks(make(Returns, result=Close(4000, "enough"))), from_client())
    assert "session 7: filter returns ends it with 4000" in caplog.text


async def test_a_hook_that_takes_too_long_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    class Sleeps(Filter):
        """Sleeps."""

        kind = "Sleeps"
        hook_timeout = 0.01

        async def on_message(self, session: Session, message: Message) -> Message:
            await anyio.sleep_forever()
            return message

    assert await passed(hooks(make(Sleeps)), from_client()) == FAILED
    assert "TimeoutError" in caplog.text


async def test_a_hook_that_holds_the_loop_is_told_on(caplog: pytest.LogCaptureFixture) -> None:
    class Blocks(Filter):
        """Blocks."""

        kind = "Blocks"

        def on_message(self, session: Session, message: Message) -> Message:
            time.sleep(0.06)
            return message

    with caplog.at_level(logging.WARNING):
        await passed(hooks(make(Blocks)), from_client())
    assert "session 7: filter blocks held the event loop for" in caplog.text


def test_filters_are_asked_only_for_what_they_read() -> None:
    class Texts(Filter):
        """Reads a client's texts."""

        kind = "Texts"
        reads = Reads(senders=("client",), binary=False, max_size=10)

        def on_message(self, session: Session, message: Message) -> None:
            return None

    hooked = hooks(make(Texts))
    assert hooked.reads("backend") is None
    assert hooked.reads("client") == Reads(("client",), True, False, 10)
    binary = from_client(b"x")
    assert hooked.message(session(), binary) is binary
    assert hooked.message(session(), from_client()) == ()


def test_the_smallest_size_of_all_readers_holds() -> None:
    small, large = make(Adds, letter="a"), make(Adds, letter="b")
    small.reads = Reads(binary=False, max_size=5)
    assert hooks(large, small).reads("client") == Reads(("client",), True, True, 5)


class Follows(Filter):
    """Notes what it is told."""

    kind = "Follows"
    tick = 2.0

    def __init__(self, name: str, spec: Any) -> None:
        super().__init__(name, spec)
        self.heard: list[str] = []

    def on_open(self, session: Session) -> None:
        self.heard.append("open")

    async def on_tick(self, session: Session) -> None:
        self.heard.append("tick")
        if self.spec.get("raises"):
            raise RuntimeError("oh")

    async def on_close(self, session: Session, ending: Ending) -> None:
        self.heard.append(f"close {ending.code}")


async def _done(awaited: Awaitable[None] | None) -> None:
    if awaited is not None:
        await awaited


async def test_the_life_of_a_session_is_told(caplog: pytest.LogCaptureFixture) -> None:
    first, second = make(Follows, raises=True), make(Follows)
    hooked = hooks(first, second)
    assert hooked.tick == 2.0
    assert hooked.reads("client") is None
    await _done(hooked.opened(session()))
    await _done(hooked.ticked(session()))
    await _done(hooked.ended(session(), Ending("client", 1000, "closed", 1.0)))
    for told in (first, second):
        assert isinstance(told, Follows)
        assert told.heard == ["open", "tick", "close 1000"]
    assert "a hook of filter follows raised" in caplog.text


async def test_each_filter_ticks_at_its_own_pace() -> None:
    class Slow(Follows):
        """Ticks less often."""

        kind = "Slow"
        tick = 5.0

    quick, slow, it = make(Follows), make(Slow), session()
    hooked = hooks(quick, slow)
    assert hooked.tick == 2.0
    heard: list[tuple[float, int]] = []
    for _ in range(5):
        it.time += 2.01  # a clock is read a little late
        await _done(hooked.ticked(it))
        assert isinstance(slow, Slow)
        heard.append((round(it.time), len(slow.heard)))
    assert heard == [(2, 0), (4, 1), (6, 1), (8, 1), (10, 2)]
    assert isinstance(quick, Follows)
    assert quick.heard == ["tick"] * 5


def test_nobody_ticks_unless_somebody_wants_to() -> None:
    assert hooks(make(Adds, letter="a")).tick == inf


def test_only_a_text_message_has_a_text() -> None:
    assert from_client("hi").text == "hi"
    with pytest.raises(TypeError, match=r"2 bytes from the client> is binary"):
        _ = from_client(b"hi").text
