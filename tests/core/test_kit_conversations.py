"""Conversations: a client and a backend that talk through filters, in memory."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from easews import (
    Close,
    Context,
    Ending,
    Filter,
    Message,
    Reads,
    Response,
    Service,
    Services,
    Session,
)
from easews.testing import Conversation, conversation, load_config, make_filter


class Shout(Filter):
    """Makes what clients say loud."""

    kind = "Shout"
    reads = Reads(senders=("client",), binary=False)

    def on_message(self, session: Session, message: Message) -> Any:
        return message.data.upper()


class Marks(Filter):
    """Adds its mark to each message."""

    kind = "Marks"
    schema = {  # noqa: RUF012
        "type": "object",
        "properties": {"mark": {"type": "string", "default": "!"}},
    }

    def on_message(self, session: Session, message: Message) -> Any:
        return message.data + self.spec["mark"]


class Commands(Filter):
    """Does what the client says."""

    kind = "Commands"
    reads = Reads(senders=("client",), max_size=100)

    async def on_message(self, session: Session, message: Message) -> Any:
        match message.data:
            case "close":
                return Close(4000, "as you say")
            case "expire":
                session.expire(time.time() + 5, 4001, "too old")
            case "sleep":
                await session.sleep(5)
            case "inject":
                session.send_to_client("hello")
            case "drop":
                return None
            case "twice":
                return ["one", "two"]
            case "raise":
                raise RuntimeError("oh")
            case "for ever":
                await anyio.sleep_forever()
            case "thread":
                await anyio.to_thread.run_sync(time.sleep, 0.05)
        return message


class Events:
    """What a Notebook has seen in its session."""

    def __init__(self) -> None:
        self.seen: list[object] = []


class Notebook(Filter):
    """Notes what it is told."""

    kind = "Notebook"
    tick = 2.0

    async def handle(self, ctx: Context) -> None:
        ctx.notes.put(Events())
        ctx.labels["user"] = ctx.request.headers.get("X-User") or "nobody"

    def on_open(self, session: Session) -> None:
        session.notes[Events].seen.append("open")

    async def on_tick(self, session: Session) -> None:
        session.notes[Events].seen.append(session.now())
        await session.sleep(3)

    async def on_close(self, session: Session, ending: Ending) -> None:
        session.notes[Events].seen.append((ending.by, ending.code, ending.cause))


async def test_what_a_filter_makes_of_a_message_comes_to_the_other_side() -> None:
    async with conversation(Shout) as talk:
        await talk.client.sends("hi", b"hi")
        await talk.backend.receives("HI", b"hi")
        await talk.backend.sends("ok")
        await talk.client.receives("ok")
        await talk.client.receives_nothing()
        await talk.backend.receives_nothing()


async def test_filters_stand_in_the_order_of_the_flow() -> None:
    async with conversation(make_filter(Marks, mark="a"), make_filter(Marks, mark="b")) as talk:
        await talk.client.sends("> ")
        await talk.backend.receives("> ab")
        await talk.backend.sends("< ")
        await talk.client.receives("< ba")


@pytest.mark.parametrize("load", [str, lambda text: load_config(text, Marks)])
@pytest.mark.parametrize("proxy", ["", ", {kind: WebSocketProxy, name: w, pools: [{servers: []}]}"])
async def test_a_pipeline_is_taken_from_its_config(load: Callable[[str], Any], proxy: str) -> None:
    proxy = proxy.replace("[]", "[{url: ws://127.0.0.1:1}]")
    text = f"{{kind: Pipeline, name: p, filters: [{{kind: Marks, name: m, mark: '?'}}{proxy}]}}"
    async with conversation(load(text), Marks) as talk:
        await talk.client.sends("hi")
        await talk.backend.receives("hi?")


async def test_what_a_filter_orders_is_done() -> None:
    async with conversation(Commands) as talk:
        await talk.client.sends("drop", "inject", "twice", "thread")
        await talk.backend.receives("inject", "one", "two", "thread")
        await talk.client.receives("hello")
        await talk.client.sends("close", "lost")
        await talk.is_closed_with(4000, "as you say")
        await talk.client.is_closed_with(4000)
        await talk.backend.is_closed_with(4000, "as you say")


@pytest.mark.parametrize(("on_error", "code"), [("close", 1011), ("pass", None), ("drop", None)])
async def test_a_filter_that_raises_is_treated_as_the_config_says(
    on_error: str, code: int | None
) -> None:
    async with conversation(make_filter(Commands, onError=on_error)) as talk:
        await talk.client.sends("raise")
        if on_error == "pass":
            await talk.backend.receives("raise")
        await talk.backend.receives_nothing() if code is None else await talk.is_closed_with(code)


async def test_a_message_over_the_limit_ends_the_session() -> None:
    async with conversation(Commands) as talk:
        await talk.client.sends("x" * 100, "é" * 51)
        await talk.backend.receives("x" * 100)
        await talk.is_closed_with(1009)
        await talk.backend.is_closed_with(1001, "the client was at fault")


async def test_hooks_sleep_by_the_clock_and_hold_up_their_sender_only() -> None:
    async with conversation(Commands) as talk:
        await talk.client.sends("sleep", "behind")
        await talk.backend.sends("other")
        await talk.client.receives("other")
        await talk.clock.advance(4.9)
        await talk.backend.receives_nothing()
        assert talk.session.held == len("behind")
        await talk.clock.advance(0.1)
        await talk.backend.receives("sleep", "behind")


async def test_what_the_client_sent_before_its_close_is_not_lost() -> None:
    async with conversation(Commands) as talk:
        await talk.client.sends("sleep")
        await talk.client.closes(1000, "bye")
        await talk.backend.receives_nothing()
        await talk.clock.advance(5)
        await talk.backend.receives("sleep")
        await talk.backend.is_closed_with(1000, "bye")


async def test_sessions_expire_by_the_clock() -> None:
    async with conversation(Commands) as talk:
        await talk.client.sends("expire")
        await talk.clock.advance(4)
        await talk.client.receives_nothing()
        await talk.clock.advance(1)
        await talk.is_closed_with(4001, "too old")
        assert talk.clock.now == 5


async def test_ticks_come_by_the_clock_and_never_two_at_once() -> None:
    async with conversation(Notebook) as talk:
        await talk.clock.advance(10)
        assert talk.session.notes[Events].seen == ["open", 2.0, 6.0, 10.0]


async def test_the_end_is_told_with_who_and_why() -> None:
    async with conversation(Notebook) as talk:
        await talk.ends(4123)
        assert talk.session.notes[Events].seen == ["open", ("client", 4123, "closed")]
        assert not talk.sessions
    async with conversation(Notebook) as talk:
        await talk.backend.vanishes()
        assert talk.session.notes[Events].seen[-1] == ("backend", 1006, "lost")
        await talk.client.is_closed_with(1011, "the backend was lost")
    async with conversation(Notebook) as talk:
        pass
    assert talk.session.notes[Events].seen[-1] == ("client", 1000, "closed")


async def test_the_end_cancels_a_hook_that_waits() -> None:
    async with conversation(Commands) as talk:
        await talk.client.sends("for ever")
        await talk.backend.sends("for ever")
        await talk.backend.closes()
        await talk.client.receives("for ever")
        await talk.client.is_closed_with(1000)
        await talk.backend.receives_nothing()
    async with conversation(Commands) as talk:
        await talk.client.sends("sleep")
        await talk.backend.closes()
        assert (talk.clock.working, talk.clock.asleep) == (0, 0)


async def test_no_hook_is_called_for_what_waits_when_the_session_ends() -> None:
    class Counts(Commands):
        """Counts messages."""

        calls = 0

        async def on_message(self, session: Session, message: Message) -> Any:
            self.calls += 1
            return await super().on_message(session, message)

    counts = make_filter(Counts)
    async with conversation(counts) as talk:
        await talk.client.sends("sleep", "close", "behind")
        await talk.clock.advance(5)
        await talk.is_closed_with(4000)
        assert counts.calls == 2


async def test_sessions_of_the_same_filters() -> None:
    async with conversation(Notebook, headers=[("X-User", "ada")]) as ada:
        bob = await ada.another(headers=[("X-User", "bob")])
        assert bob.session.opening.labels == {"user": "bob"}
        assert ada.sessions.matching(user="ada") == [ada.session]
        assert ada.session.opening.client != bob.session.opening.client
        await bob.client.sends("hi")
        await bob.backend.receives("hi")
        await ada.backend.receives_nothing()


class Guard(Filter):
    """Refuses requests without a name."""

    kind = "Guard"

    async def handle(self, ctx: Context) -> None:
        if ctx.labels.get("user") is None or Events not in ctx.notes:
            ctx.response = Response(403)

    async def on_answer(self, ctx: Context) -> None:
        assert ctx.response is not None
        ctx.response.headers.set("X-Guard", "yes")


async def test_a_handshake_is_refused_or_comes_to_the_backend() -> None:
    async with conversation(Guard) as talk:
        talk.is_refused_with(403)
        with pytest.raises(AssertionError, match=r"expected a session, but .* got status 403"):
            await talk.client.sends("hi")
    async with conversation(Guard, labels={"user": "ada"}, notes=[Events()]) as talk:
        assert talk.context.response is not None
        assert talk.context.response.headers.get("X-Guard") == "yes"
        with pytest.raises(AssertionError, match="to get 403, but a session opened"):
            talk.is_refused_with(403)


class Store(Service):
    """Is there, or not."""

    def __init__(self, services: Services) -> None:
        self.running = False

    async def serve(self, ready: Callable[[], None]) -> None:
        self.running = True
        ready()
        await anyio.sleep_forever()


class Uses(Filter):
    """Uses a service, and is entered."""

    kind = "Uses"
    services = (Store,)
    entered = 0

    async def __aenter__(self) -> Uses:
        self.entered += 1
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.entered -= 1

    async def handle(self, ctx: Context) -> None:
        assert self.entered == 1
        ctx.labels["running"] = str(ctx.services[Store].running)


async def test_services_run_and_filters_are_entered_once() -> None:
    uses = make_filter(Uses)
    async with conversation(uses, uses) as talk:
        assert talk.session.opening.labels == {"running": "True"}
    assert uses.entered == 0


# What failures say

Step = Callable[[Conversation], Coroutine[Any, Any, None]]


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (
            lambda talk: talk.backend.receives("HO"),
            "expected the backend to receive 'HO', but it received 'hi!'",
        ),
        (
            lambda talk: talk.backend.receives(b"hi!"),
            "expected the backend to receive b'hi!', but it received 'hi!'",
        ),
        (
            lambda talk: talk.backend.receives_json({"a": 1}),
            "expected the backend to receive the JSON {'a': 1}, but it got 'hi!'",
        ),
        (
            lambda talk: talk.backend.receives_nothing(),
            "expected the backend to receive nothing, but it received 'hi!'",
        ),
        (
            lambda talk: talk.backend.is_closed_with(1000, "x"),
            "expected the backend to receive a Close 1000 'x', but it received 'hi!'",
        ),
        (
            lambda talk: talk.is_closed_with(1000),
            "expected the session to end with a Close 1000, but it is open",
        ),
        (
            lambda talk: talk.client.receives("x"),
            "expected the client to receive 'x', but it received nothing",
        ),
    ],
)
async def test_a_failure_says_what_was_expected_and_what_came(step: Step, text: str) -> None:
    async with conversation(Marks) as talk:
        await talk.client.sends("hi")
        with pytest.raises(AssertionError, match=f"^{re.escape(text)}$"):
            await step(talk)


async def test_a_failure_says_that_the_session_is_over() -> None:
    async with conversation(Commands) as talk:
        await talk.client.sends("close")
        with pytest.raises(AssertionError, match="'x', but it received a Close 4000 'as you say'"):
            await talk.backend.receives("x")
        with pytest.raises(AssertionError, match="a Close 4000 'no', but it received a Close 4000"):
            await talk.backend.is_closed_with(4000, "no")
        with pytest.raises(AssertionError, match=r"Close 1000, but got a Close 4000 .* proxy"):
            await talk.is_closed_with(1000)
        with pytest.raises(AssertionError, match="a message, but it received a Close"):
            await talk.client.next_message()


async def test_a_failure_says_that_a_hook_waits_for_the_clock() -> None:
    async with conversation(Commands) as talk:
        await talk.client.sends("sleep")
        with pytest.raises(AssertionError, match=r"nothing \(a hook waits .* talk\.clock\.advance"):
            await talk.backend.receives("sleep")


async def test_a_failure_comes_by_itself_and_ends_the_session() -> None:
    with pytest.raises(AssertionError, match="expected the client"):
        async with conversation(Notebook) as talk:
            await talk.client.receives("x")
    assert talk.session.notes[Events].seen[-1] == ("client", 1000, "closed")


async def test_messages_as_json_and_messages_of_any_content() -> None:
    async with conversation() as talk:
        await talk.client.sends_json({"a": "é"}, [1])
        await talk.backend.receives_json({"a": "é"})
        assert await talk.backend.next_message() == "[1]"


async def test_a_clock_goes_forward_only() -> None:
    async with conversation() as talk:
        with pytest.raises(ValueError, match="forward"):
            await talk.clock.advance(-1)


class Asks(Filter):
    """Asks the backend on behalf of the client, and measures."""

    kind = "Asks"

    def on_open(self, session: Session) -> None:
        session.send_to_backend("who?")
        session.ping()


async def test_the_session_measures_and_sends_to_the_backend() -> None:
    async with conversation(Asks) as talk:
        await talk.backend.receives("who?")
        await talk.client.sends("é", b"12")
        client, backend = talk.session.traffic()
        assert (client.messages, client.bytes, client.rtt) == (2, 4, 0.0)
        assert (backend.messages, backend.bytes, backend.rtt) == (0, 0, 0.0)


async def test_a_failure_says_that_the_peer_itself_has_ended_the_session() -> None:
    async with conversation() as talk:
        await talk.client.closes(1000, "bye")
        with pytest.raises(AssertionError, match="'x', but it ended the session with a Close 1000"):
            await talk.client.receives("x")
        assert not talk.is_open
