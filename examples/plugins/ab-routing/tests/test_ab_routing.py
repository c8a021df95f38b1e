from __future__ import annotations

from collections import Counter

import pytest
from easews import ConfigError, Filter
from easews.testing import Conversation, FilterConformance, conversation, make_filter

from easews_ab_routing import AbRouting


def routing(**variants: int) -> AbRouting:
    return make_filter(AbRouting, variants=variants, key="{{Header.X-User}}")


def variant(talk: Conversation) -> str:
    return talk.context.request.headers.get("X-Variant")


def set_cookie(talk: Conversation) -> str:
    assert talk.context.response is not None
    return talk.context.response.headers.get("Set-Cookie")


class TestConformance(FilterConformance):
    def make(self) -> Filter:
        return routing(a=1, b=1)


async def test_the_shares_hold() -> None:
    seen: Counter[str] = Counter()
    async with conversation(routing(a=90, b=10)) as talk:
        for number in range(1000):
            seen[variant(await talk.another(headers=[("X-User", f"user {number}")]))] += 1

    assert 50 < seen["b"] < 150
    assert seen["a"] + seen["b"] == 1000


async def test_the_same_user_gets_the_same_variant_from_any_address() -> None:
    async with conversation(routing(a=1, b=1), headers=[("X-User", "ada")]) as talk:
        again = await talk.another(headers=[("X-User", "ada")], client="192.0.2.99")
        assert variant(again) == variant(talk)


async def test_without_a_key_the_address_decides() -> None:
    async with conversation(routing(a=1, b=1)) as talk:
        seen = {variant(await talk.another(client=f"192.0.2.{host}")) for host in range(50)}
    assert seen == {"a", "b"}


async def test_the_cookie_keeps_a_client_at_its_variant_when_shares_change() -> None:
    async with conversation(routing(a=0, b=1)) as talk:
        assert set_cookie(talk) == "variant=b; Path=/; HttpOnly; SameSite=Lax"
    async with conversation(routing(a=1, b=0), headers=[("Cookie", "x=1; variant=b")]) as talk:
        assert variant(talk) == "b"
        assert set_cookie(talk) == ""


async def test_an_unknown_variant_is_no_choice() -> None:
    async with conversation(routing(a=1), headers=[("Cookie", "variant=gone")]) as talk:
        assert variant(talk) == "a"
        assert set_cookie(talk).startswith("variant=a;")


async def test_what_the_client_wrote_into_the_header_is_gone() -> None:
    async with conversation(routing(a=1), headers=[("X-Variant", "b")]) as talk:
        assert talk.context.request.headers.get_all("X-Variant") == ["a"]


def test_some_variant_has_to_get_clients() -> None:
    with pytest.raises(ConfigError, match="no variant gets any clients"):
        routing(a=0)
