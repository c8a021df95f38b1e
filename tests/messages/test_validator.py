"""MessageValidator: only what fits passes, and who sends something else is told why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from easews import ConfigError
from easews.testing import conversation, make_filter
from easews_messages.reading import IN_PLACE
from easews_messages.validator import MessageValidator

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "text": {"type": "string"}},
}


def validator(**spec: Any) -> MessageValidator:
    return make_filter(MessageValidator, **{"schema": SCHEMA, **spec})


async def test_what_fits_goes_on_as_it_came() -> None:
    async with conversation(validator()) as talk:
        await talk.client.sends('{ "n": 1 }', b"{}")
        await talk.backend.receives('{ "n": 1 }', b"{}")
        await talk.backend.sends("not JSON at all")
        await talk.client.receives("not JSON at all")


async def test_what_does_not_fit_ends_the_session_with_the_reason() -> None:
    async with conversation(validator()) as talk:
        await talk.client.sends('{"n": "secret"}')
        await talk.is_closed_with(1008, "$.n is not of type integer")
        await talk.backend.is_closed_with(1008, "$.n is not of type integer")


async def test_the_code_may_be_chosen() -> None:
    async with conversation(validator(closeCode=1007)) as talk:
        await talk.client.sends("{")
        await talk.is_closed_with(1007, "the message is no JSON from character 2 on")


async def test_a_reason_is_no_longer_than_a_close_takes() -> None:
    name = "ß" * 100
    schema = {"properties": {name: {"type": "string"}}}
    async with conversation(validator(schema=schema)) as talk:
        await talk.client.sends_json({name: 1})
        await talk.is_closed_with(1008, "$." + "ß" * 60)


async def test_the_backend_may_be_checked_alone() -> None:
    async with conversation(validator(**{"from": "backend"})) as talk:
        await talk.client.sends("[]")
        await talk.backend.receives("[]")
        await talk.backend.sends("[]")
        await talk.is_closed_with(1008)


async def test_both_may_be_checked_and_dropped() -> None:
    async with conversation(validator(onInvalid="drop", **{"from": "both"})) as talk:
        await talk.client.sends("[]", "{}")
        await talk.backend.sends("[]", "{}")
        await talk.backend.receives("{}")
        await talk.client.receives("{}")
        await talk.client.receives_nothing()


async def test_a_sender_gets_an_answer_in_place_of_the_message() -> None:
    answering = validator(onInvalid="answer", answer='{"no": "{{Reason}}"}', **{"from": "both"})
    async with conversation(answering) as talk:
        await talk.client.sends('{"n": ""}', "{}")
        await talk.client.receives_json({"no": "$.n is not of type integer"})
        await talk.backend.receives("{}")
        await talk.backend.sends("[]")
        await talk.backend.receives_json({"no": "$ is not of type object"})


async def test_a_reason_is_escaped_within_an_answer() -> None:
    schema = {"properties": {'a"\\b': {"type": "string"}}}
    async with conversation(validator(schema=schema, onInvalid="answer")) as talk:
        await talk.client.sends_json({'a"\\b': 1})
        await talk.client.receives_json({"error": "$['a\"\\b'] is not of type string"})


async def test_binary_messages_may_be_refused() -> None:
    async with conversation(validator(binary="refuse")) as talk:
        await talk.client.sends(b"{}")
        await talk.is_closed_with(1003, "binary messages are not accepted")


async def test_large_messages_are_checked_aside_and_in_order() -> None:
    large = f'{{"text": "{"x" * IN_PLACE}"}}'
    async with conversation(validator()) as talk:
        await talk.client.sends(large, "{}")
        await talk.backend.receives(large, "{}")
        await talk.client.sends(f'{{"n": "{"x" * IN_PLACE}"}}', "{}")
        await talk.is_closed_with(1008, "$.n is not of type integer")
        await talk.backend.is_closed_with(1008)


async def test_a_message_over_the_size_is_refused() -> None:
    async with conversation(validator(maxMessageSize=10)) as talk:
        await talk.client.sends('{"n": 1234567}')
        await talk.is_closed_with(1009)


async def test_the_schema_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "chat.schema.json"
    file.write_text('{"type": "array"}')
    async with conversation(make_filter(MessageValidator, schemaFile=str(file))) as talk:
        await talk.client.sends("[]", "{}")
        await talk.backend.receives("[]")
        await talk.is_closed_with(1008, "$ is not of type array")


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"{", "the file is no JSON from character 2 on"),
        (b"\xff", "the file is no UTF-8"),
        (b"[]", "at /: this is no JSON Schema"),
        (b'{"items": {"type": "text"}}', "at /items/type: 'text' is not valid"),
    ],
)
def test_a_bad_schema_file_is_told(tmp_path: Path, content: bytes | None, wrong: str) -> None:
    file = tmp_path / "s.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        make_filter(MessageValidator, schemaFile=str(file))
    (problem,) = caught.value.problems
    assert problem.path == "made.filters[0].schemaFile"
    assert wrong in problem.wrong


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({}, "made.filters[0]"),
        ({"schema": {}, "schemaFile": "a"}, "made.filters[0].schemaFile"),
        (
            {"schema": {"properties": {"a": {"type": 1}}}},
            "made.filters[0].schema.properties.a.type",
        ),
        ({"schema": {}, "answer": "{{Why}}"}, "made.filters[0].answer"),
    ],
)
def test_a_config_with_a_fault_is_told_where(spec: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_filter(MessageValidator, **spec)
    assert [problem.path for problem in caught.value.problems] == [path]
