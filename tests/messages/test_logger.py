"""MessageLogger: a line for each message, which says no more than the config asks for."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from easews import ConfigError
from easews.testing import conversation, make_filter
from easews_messages import logger as logger_module
from easews_messages.logger import MessageLogger
from easews_messages.reading import IN_PLACE


def logger(**spec: Any) -> MessageLogger:
    return make_filter(MessageLogger, **spec)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What is logged from now on, line by line, without the session's id."""
    found: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage().removeprefix("session test-1: "))

    handler = Listening()
    log = logging.getLogger("easews.messages")
    log.addHandler(handler)
    caplog.set_level(logging.INFO, "easews.messages")
    yield found
    log.removeHandler(handler)


async def test_a_line_has_no_content_by_default(lines: list[str]) -> None:
    async with conversation(logger()) as talk:
        await talk.client.sends('{"password": "ü"}')
        await talk.backend.receives('{"password": "ü"}')
        await talk.backend.sends(b"123")
        await talk.client.receives(b"123")
    assert lines == ["text from the client, 18 bytes", "binary from the backend, 3 bytes"]


async def test_content_is_logged_as_it_came_where_nothing_is_redacted(lines: list[str]) -> None:
    async with conversation(logger(content=True)) as talk:
        await talk.client.sends("a\nb", b"secret")
    assert lines == [
        'text from the client, 3 bytes: "a\\nb"',
        "binary from the client, 6 bytes, content withheld: it is binary",
    ]


async def test_fields_are_redacted_in_the_log_alone(lines: list[str]) -> None:
    text = '{"password": "x", "users": [{"token": 1, "id": 2}], "a": {"secret": {}}}'
    redact = ["$.password", "$.users[*].token", "$..secret"]
    async with conversation(logger(content=True, redact=redact)) as talk:
        await talk.client.sends(text)
        await talk.backend.receives(text)
    (line,) = lines
    assert json.loads(json.loads(line.partition(": ")[2])) == {
        "password": "[redacted]",
        "users": [{"token": "[redacted]", "id": 2}],
        "a": {"secret": "[redacted]"},
    }


async def test_content_without_such_a_field_is_logged_as_it_came(lines: list[str]) -> None:
    async with conversation(logger(content=True, redact=["$.a"])) as talk:
        await talk.client.sends("[ 1.0 ]")
    assert lines == ['text from the client, 7 bytes: "[ 1.0 ]"']


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("password=secret", "is no JSON from character 1 on"),
        ('{"password": "secret", "password": 1}', "has a key twice in one object"),
    ],
)
async def test_content_that_cannot_be_redacted_is_withheld(
    text: str, why: str, lines: list[str]
) -> None:
    async with conversation(logger(content=True, redact=["$.password"])) as talk:
        await talk.client.sends(text)
        await talk.backend.receives(text)
    assert lines == [f"text from the client, {len(text)} bytes, content withheld: it {why}"]


async def test_the_whole_content_may_be_redacted(lines: list[str]) -> None:
    async with conversation(logger(content=True, redact=["$"])) as talk:
        await talk.client.sends("no JSON")
    assert lines == ['text from the client, 7 bytes: "[redacted]"']


async def test_content_is_cut_behind_what_was_redacted(lines: list[str]) -> None:
    redacting = logger(content=True, redact=["$.a"], maxContent=21)
    async with conversation(redacting) as talk:
        await talk.client.sends('{"a": "secret that is long", "b": 1}')
    assert lines == ['text from the client, 36 bytes: "{\\"a\\":\\"[redacted]\\",\\"b\\"" (cut)']


async def test_a_character_is_cut_as_a_whole(lines: list[str]) -> None:
    async with conversation(logger(content=True, maxContent=3)) as talk:
        await talk.client.sends("üü")
    assert lines == ['text from the client, 4 bytes: "ü" (cut)']


async def test_a_share_of_the_messages_is_logged(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter([0.9, 0.1, 0.25, 0.24])
    monkeypatch.setattr(logger_module, "random", lambda: next(drawn))
    async with conversation(logger(content=True, sample=0.25)) as talk:
        await talk.client.sends(*"abcd")
        await talk.backend.receives(*"abcd")
    assert lines == [f'text from the client, 1 bytes: "{text}"' for text in "bd"]


async def test_one_side_alone_may_be_logged(lines: list[str]) -> None:
    async with conversation(logger(**{"from": "backend"})) as talk:
        await talk.client.sends("a")
        await talk.backend.sends("b")
    assert lines == ["text from the backend, 1 bytes"]


async def test_large_messages_are_redacted_aside_and_go_on_in_order(lines: list[str]) -> None:
    large = f'{{"a": "{"x" * IN_PLACE}"}}'
    async with conversation(logger(content=True, redact=["$.a"])) as talk:
        await talk.client.sends(large, "{}")
        await talk.backend.receives(large, "{}")
    assert lines[0] == f'text from the client, {len(large)} bytes: "{{\\"a\\":\\"[redacted]\\"}}"'


# Into a file


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


async def test_lines_of_a_file_are_json(tmp_path: Path) -> None:
    file = tmp_path / "messages.jsonl"
    async with conversation(logger(file=str(file), content=True, maxContent=2)) as talk:
        await talk.client.sends("a", b"b")
        await talk.backend.sends("übc")
    found = read(file)
    assert all(line.pop("time").endswith("+00:00") for line in found)
    assert found == [
        {"session": "test-1", "from": "client", "type": "text", "size": 1, "content": "a"},
        {
            "session": "test-1",
            "from": "client",
            "type": "binary",
            "size": 1,
            "withheld": "is binary",
        },
        {
            "session": "test-1",
            "from": "backend",
            "type": "text",
            "size": 4,
            "content": "ü",
            "cut": True,
        },
    ]


async def test_a_file_that_cannot_be_written_refuses_the_config(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        async with logger(file=str(tmp_path / "missing" / "a")):
            pass


async def test_a_new_config_goes_on_in_the_same_file(tmp_path: Path) -> None:
    file = tmp_path / "messages.jsonl"
    old, new = logger(file=str(file)), logger(file=str(file), content=True, keep=7)
    new.inherit(old)
    async with conversation(old) as before:
        async with conversation(new) as after:
            await before.client.sends("a")
            await after.client.sends("b")
        await before.client.sends("c")
    assert [line.get("content") for line in read(file)] == [None, "b", None]
    assert new._file is old._file
    assert new._file is not None
    assert new._file.limits.keep == 7


async def test_another_file_is_one_of_its_own(tmp_path: Path) -> None:
    old, new = logger(file=str(tmp_path / "a")), logger(file=str(tmp_path / "b"))
    new.inherit(old)
    assert new._file is not old._file


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"redact": ["$.a"]}, "made.filters[0].redact"),
        ({"content": True, "redact": ["$.a", "a"]}, "made.filters[0].redact[1]"),
    ],
)
def test_a_config_with_a_fault_is_told_where(spec: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        logger(**spec)
    assert [problem.path for problem in caught.value.problems] == [path]
