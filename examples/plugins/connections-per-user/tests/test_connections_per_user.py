from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from easews import Filter, Response
from easews.testing import FilterConformance, conversation, make_filter

from easews_connections_per_user import ConnectionsPerUser, User

ADA = [("X-User", "ada")]
BOB = [("X-User", "bob")]


def limited(limit: int = 2) -> ConnectionsPerUser:
    return make_filter(ConnectionsPerUser, user="{{Header.X-User}}", limit=limit)


class TestConformance(FilterConformance):
    handshake: ClassVar[Mapping[str, Any]] = {"headers": ADA}

    def make(self) -> Filter:
        return limited()


async def test_a_user_has_so_many_sessions_and_no_more() -> None:
    async with conversation(limited(), headers=ADA) as first:
        await first.another(headers=ADA)
        refused = await first.another(headers=ADA)

        refused.is_refused_with(429)
        assert isinstance(refused.context.response, Response)
        assert refused.context.response.headers.get("Retry-After") == "10"


async def test_other_users_are_not_concerned() -> None:
    async with conversation(limited(1), headers=ADA) as ada:
        bob = await ada.another(headers=BOB)
        await bob.client.sends("hi")
        await bob.backend.receives("hi")


async def test_a_session_that_has_ended_makes_room() -> None:
    async with conversation(limited(1), headers=ADA) as first:
        await first.client.vanishes()
        second = await first.another(headers=ADA)
        await second.client.sends("hi")
        await second.backend.receives("hi")


async def test_users_who_have_left_are_forgotten() -> None:
    limit = limited()
    async with conversation(limit, headers=ADA) as talk:
        assert limit._open == {"ada": 1}
        await talk.ends()
        assert limit._open == {}


async def test_a_client_without_a_user_is_not_limited() -> None:
    async with conversation(limited(1)) as first:
        second = await first.another()
        await second.client.sends("hi")
        await second.backend.receives("hi")


async def test_handshakes_at_the_same_time_cannot_exceed_the_limit() -> None:
    # Both have passed `handle` before one of them has opened.
    async with conversation(limited(1), notes=[User("ada")]) as first:
        second = await first.another(notes=[User("ada")])
        await second.is_closed_with(1008, "too many connections")
        await first.client.sends("hi")
        await first.backend.receives("hi")


async def test_a_reload_keeps_the_count() -> None:
    before, after = limited(1), limited(1)
    async with conversation(before, headers=ADA):
        after.inherit(before)
        async with conversation(after, headers=ADA) as talk:
            talk.is_refused_with(429)
