from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from easews import Filter
from easews.testing import FilterConformance, conversation, make_filter

from easews_token_budget import SPENT, TokenBudget

ADA = [("X-User", "ada")]
BOB = [("X-User", "bob")]


def budget(tokens: int = 100, **spec: Any) -> TokenBudget:
    return make_filter(TokenBudget, user="{{Header.X-User}}", tokens=tokens, **spec)


def done(tokens: int) -> dict[str, Any]:
    """The event that ends an answer."""
    return {"type": "response.done", "response": {"usage": {"total_tokens": tokens}}}


def event(kind: str, text: str, spent: int, tokens: int = 100) -> dict[str, Any]:
    about = {"code": "token_budget", "message": text, "spent": spent, "budget": tokens}
    return {"type": kind, kind: about}


class TestConformance(FilterConformance):
    handshake: ClassVar[Mapping[str, Any]] = {"headers": ADA}

    def make(self) -> Filter:
        return budget()


async def test_a_client_is_warned_once_at_80_percent() -> None:
    async with conversation(budget(), headers=ADA) as talk:
        await talk.backend.sends_json(done(79), done(1), done(1))
        await talk.client.receives_json(done(79), done(1))
        await talk.client.receives_json(event("warning", "80 of 100 tokens are spent", 80))
        await talk.client.receives_json(done(1))
        await talk.client.receives_nothing()


async def test_the_session_ends_with_an_error_when_the_budget_is_spent() -> None:
    async with conversation(budget(), headers=ADA) as talk:
        await talk.backend.sends_json(done(120), done(1))
        await talk.client.receives_json(done(120), event("error", SPENT, 120))
        await talk.client.is_closed_with(1008, SPENT)
        await talk.backend.is_closed_with(1008, SPENT)


async def test_the_sessions_of_a_user_share_the_budget() -> None:
    async with conversation(budget(), headers=ADA) as one:
        other = await one.another(headers=ADA)
        await one.backend.sends_json(done(60))
        await other.backend.sends_json(done(40))
        await other.client.receives_json(done(40), event("error", SPENT, 100))
        await one.client.receives_json(done(60), event("error", SPENT, 100))
        await one.client.is_closed_with(1008, SPENT)


async def test_other_users_have_their_own() -> None:
    async with conversation(budget(), headers=ADA) as ada:
        bob = await ada.another(headers=BOB)
        await ada.backend.sends_json(done(100))
        await bob.backend.sends_json(done(10))
        await bob.client.receives_json(done(10))
        await bob.client.receives_nothing()


async def test_who_has_spent_it_gets_no_new_session() -> None:
    async with conversation(budget(), headers=ADA) as talk:
        await talk.backend.sends_json(done(100))
        again = await talk.another(headers=ADA)
        await again.client.receives_json(event("error", SPENT, 100))
        await again.client.is_closed_with(1008, SPENT)


async def test_the_next_period_begins_at_0() -> None:
    async with conversation(budget(period="1h"), headers=ADA) as talk:
        await talk.backend.sends_json(done(100))
        await talk.clock.advance(3600)
        again = await talk.another(headers=ADA)
        await again.backend.sends_json(done(79))
        await again.client.receives_json(done(79))
        await again.client.receives_nothing()


async def test_a_session_that_goes_on_has_a_new_budget_then_too() -> None:
    async with conversation(budget(period="1h"), headers=ADA) as talk:
        await talk.backend.sends_json(done(99))
        await talk.clock.advance(3600)
        await talk.backend.sends_json(done(79))
        await talk.client.receives_json(done(99))
        await talk.client.receives_json(event("warning", "99 of 100 tokens are spent", 99))
        await talk.client.receives_json(done(79))


async def test_sessions_of_the_last_period_still_count_as_the_users() -> None:
    async with conversation(budget(period="1h"), headers=ADA) as old:
        await old.clock.advance(3600)
        new = await old.another(headers=ADA)
        await new.backend.sends_json(done(100))
        await old.client.receives_json(event("error", SPENT, 100))
        await old.client.is_closed_with(1008, SPENT)


async def test_a_reload_gives_no_new_budget() -> None:
    before, after = budget(), budget(200)
    async with conversation(before, headers=ADA) as old:
        await old.backend.sends_json(done(50))
        after.inherit(before)
        async with conversation(after, headers=ADA) as new:
            await new.backend.sends_json(done(150))
            await new.client.receives_json(done(150), event("error", SPENT, 200, 200))


async def test_other_events_go_on_as_they_came() -> None:
    texts = [
        '{"type": "response.output_text.delta", "delta": "\\"response.done\\""}',
        '{ "type":"response.done", "response": {"usage": null} }',
        '"response.done"',
        '{"response.done"',
    ]
    async with conversation(budget(1), headers=ADA) as talk:
        await talk.backend.sends(*texts)
        await talk.client.receives(*texts)
