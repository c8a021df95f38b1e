from __future__ import annotations

import re

import pytest
from easews import Filter
from easews.testing import FilterConformance, conversation, make_filter

from easews_chat_bot import ChatBot


def bot() -> ChatBot:
    return make_filter(ChatBot, answers={"/rules": "Be kind."})


class TestConformance(FilterConformance):
    def make(self) -> Filter:
        return bot()


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("/rules", "bot: Be kind."),
        ("/rules please", "bot: Be kind."),
        ("/help", "bot: I know /help, /rules, /time"),
        ("/nonsense", "bot: no such command: /nonsense; try /help"),
    ],
)
async def test_the_client_gets_an_answer_and_the_backend_nothing(command: str, answer: str) -> None:
    async with conversation(bot()) as talk:
        await talk.client.sends(command)
        await talk.client.receives(answer)
        await talk.backend.receives_nothing()


async def test_it_knows_the_time() -> None:
    async with conversation(bot()) as talk:
        await talk.client.sends("/time")
        assert re.fullmatch(r"bot: it is \d\d:\d\d UTC", str(await talk.client.next_message()))


async def test_everything_else_goes_on() -> None:
    async with conversation(bot()) as talk:
        await talk.client.sends("hello", "and/or", b"/time")
        await talk.backend.receives("hello", "and/or", b"/time")
        await talk.backend.sends("/help")
        await talk.client.receives("/help")


async def test_a_bot_may_look_otherwise() -> None:
    async with conversation(make_filter(ChatBot, prefix="* ")) as talk:
        await talk.client.sends("/nonsense")
        await talk.client.receives("* no such command: /nonsense; try /help")
