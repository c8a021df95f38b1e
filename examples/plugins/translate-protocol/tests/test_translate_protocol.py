from __future__ import annotations

import json

import pytest
from easews import Data, Filter, Sender
from easews.testing import FilterConformance, conversation, make_filter

from easews_translate_protocol import TranslateProtocol


def translator() -> TranslateProtocol:
    return make_filter(
        TranslateProtocol,
        commands={"say": ["room", "text"], "leave": []},
        events={"said": ["room", "by", "text"]},
    )


class TestConformance(FilterConformance):
    def make(self) -> Filter:
        return translator()

    def sample(self, number: int, sender: Sender) -> Data:
        if sender == "client":
            return f"say,lobby,{number}"
        return json.dumps({"type": "said", "room": "lobby", "by": "ada", "text": number})


async def test_a_line_becomes_json() -> None:
    async with conversation(translator()) as talk:
        await talk.client.sends('say,lobby,"hello, all"')
        await talk.backend.receives_json({"type": "say", "room": "lobby", "text": "hello, all"})


async def test_json_becomes_a_line() -> None:
    async with conversation(translator()) as talk:
        await talk.backend.sends_json({"type": "said", "room": "a", "by": "ada", "text": "1, 2"})
        await talk.client.receives('said,a,ada,"1, 2"')


async def test_several_lines_become_several_messages() -> None:
    async with conversation(translator()) as talk:
        await talk.client.sends("say,lobby,one\r\n\r\nleave\r\n")
        await talk.backend.receives_json(
            {"type": "say", "room": "lobby", "text": "one"}, {"type": "leave"}
        )


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("shout,lobby", "error,no such command: shout"),
        ("say,lobby", 'error,"say takes room, text"'),
        ('say,"lobby', "error,unexpected end of data"),
    ],
)
async def test_a_client_is_told_of_a_mistake(text: str, answer: str) -> None:
    async with conversation(translator()) as talk:
        await talk.client.sends(text)
        await talk.client.receives(answer)
        await talk.backend.receives_nothing()


async def test_events_that_old_clients_do_not_know_are_dropped() -> None:
    async with conversation(translator()) as talk:
        await talk.backend.sends_json({"type": "typing"}, ["said"], {"type": ["said"]})
        await talk.client.receives_nothing()


async def test_a_member_that_is_not_there_is_empty() -> None:
    async with conversation(translator()) as talk:
        await talk.backend.sends_json({"type": "said", "text": "hi"})
        await talk.client.receives("said,,,hi")
