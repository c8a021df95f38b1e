"""MessageTransform: fields are removed, masked and set, and nothing else of a message changes."""

from __future__ import annotations

from typing import Any

import pytest

from easews import ConfigError, Message, Opening
from easews.testing import OpenSession, conversation, load_config, make_filter
from easews_messages.reading import IN_PLACE
from easews_messages.transform import MessageTransform


def transform(**spec: Any) -> MessageTransform:
    return make_filter(MessageTransform, **spec)


async def test_fields_are_removed_then_masked_then_set() -> None:
    changing = transform(
        set={"$.a": 2, "$.card.kind": "x"},
        remove=["$.a", "$.debug"],
        mask=[{"path": "$.card", "keepLast": 2}],
    )
    async with conversation(changing) as talk:
        await talk.client.sends('{"b": 1.5, "a": 1, "card": "12345", "debug": [1], "é": "ü"}')
        await talk.backend.receives('{"b":1.5,"card":"***45","é":"ü","a":2}')


def test_a_message_without_changes_goes_on_as_the_very_object() -> None:
    session = OpenSession(Opening("1"))
    changing = transform(remove=["$.debug"], set={"$.v": 1})
    for text in ('{ "v": 1 }', "[ 1.0 ]", '"\\u00e9"'):
        message = Message(text, "client")
        assert changing.on_message(session, message) is message


async def test_one_side_alone_may_be_changed() -> None:
    async with conversation(transform(remove=["$.a"], **{"from": "backend"})) as talk:
        await talk.client.sends('{"a": 1}')
        await talk.backend.receives('{"a": 1}')
        await talk.backend.sends('{"a": 1}')
        await talk.client.receives("{}")


async def test_binary_messages_go_on() -> None:
    async with conversation(transform(remove=["$.a"])) as talk:
        await talk.client.sends(b'{"a": 1}')
        await talk.backend.receives(b'{"a": 1}')


async def test_what_may_hide_a_field_ends_the_session() -> None:
    async with conversation(transform(remove=["$.a.b"])) as talk:
        await talk.client.sends('{"a": {"b": "secret"}, "a": 1}')
        await talk.is_closed_with(1007, "the message has a key twice in one object")


@pytest.mark.parametrize(("not_json", "goes_on"), [("pass", True), ("drop", False)])
async def test_what_is_no_json_may_pass_or_be_dropped(not_json: str, goes_on: bool) -> None:
    async with conversation(transform(remove=["$.a"], notJson=not_json)) as talk:
        await talk.client.sends("ping", "{}")
        await talk.backend.receives(*(["ping"] if goes_on else []), "{}")


async def test_large_numbers_stay_exact() -> None:
    async with conversation(transform(remove=["$.a"])) as talk:
        await talk.client.sends('{"a": 1, "id": 12345678901234567890123}')
        await talk.backend.receives('{"id":12345678901234567890123}')


async def test_large_messages_are_changed_aside_and_in_order() -> None:
    text = "x" * IN_PLACE
    async with conversation(transform(remove=["$.a"])) as talk:
        await talk.client.sends(f'{{"a": 1, "b": "{text}"}}', "{}")
        await talk.backend.receives(f'{{"b":"{text}"}}', "{}")


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({}, "made.filters[0]"),
        ({"remove": ["$.a", "b"]}, "made.filters[0].remove[1]"),
        ({"mask": [{"path": "$"}]}, "made.filters[0].mask[0].path"),
        ({"set": {"$.a[": 1}}, "made.filters[0].set['$.a[']"),
    ],
)
def test_a_config_with_a_fault_is_told_where(spec: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        transform(**spec)
    assert [problem.path for problem in caught.value.problems] == [path]


def test_a_value_that_json_has_not_is_told() -> None:
    entry = "{kind: MessageTransform, name: t, set: {$.a: [.nan]}}"
    with pytest.raises(ConfigError, match="this is no value that JSON has"):
        load_config(f"{{kind: Pipeline, name: p, filters: [{entry}]}}")
