"""What holds for every kind of the package: it is in order, and stands what every filter has to."""

from __future__ import annotations

from pathlib import Path

import pytest

from easews import Filter
from easews.testing import FilterConformance, check_kind, conversation, load_config, make_filter
from easews_messages.logger import MessageLogger
from easews_messages.plugin import easews_filters
from easews_messages.ratelimiter import MessageRateLimiter
from easews_messages.transform import MessageTransform
from easews_messages.validator import MessageValidator

EXAMPLE = (Path(__file__).parents[2] / "examples" / "messages.yaml").read_text("utf-8")


@pytest.mark.parametrize("filter_class", easews_filters(), ids=lambda it: it.kind)
def test_a_kind_is_in_order_and_in_the_example(filter_class: type[Filter]) -> None:
    check_kind(filter_class)
    assert f"- kind: {filter_class.kind}\n" in EXAMPLE


async def test_the_example_checks_hides_and_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "easews.messages")
    async with conversation(load_config(EXAMPLE)) as talk:
        await talk.client.sends_json({"text": "hi"})
        await talk.client.receives_json({"type": "error", "why": "$ lacks 'room'"})
        await talk.client.sends('{"room": "a", "text": "hi", "token": "t0p"}')
        await talk.backend.receives('{"room": "a", "text": "hi", "token": "t0p"}')
        await talk.backend.sends_json({"user": {"card": "4000123412341234"}, "debug": 1})
        await talk.client.receives_json({"user": {"card": "***1234"}})
        await talk.client.sends(b"\x00")
        await talk.client.receives_json(
            {"type": "error", "why": "binary messages are not accepted"}
        )
        await talk.backend.receives_nothing()
    assert "hi" in caplog.text
    assert "t0p" not in caplog.text
    assert "4000" not in caplog.text


class TestTheLogger(FilterConformance):
    def make(self) -> Filter:
        return make_filter(MessageLogger, content=True, redact=["$..token"])


class TestTheLimiterThatPauses(FilterConformance):
    def make(self) -> Filter:
        return make_filter(MessageRateLimiter, messages=10, bytes="1KiB", **{"from": "both"})


class TestTheLimiterByField(FilterConformance):
    drops = True

    def make(self) -> Filter:
        return make_filter(
            MessageRateLimiter, messages=10, by="field", field="$.message", over="drop", maxKeys=100
        )


class TestTheTransform(FilterConformance):
    def make(self) -> Filter:
        return make_filter(MessageTransform, set={"$.seen": True}, mask=[{"path": "$..token"}])


class TestTheValidator(FilterConformance):
    def make(self) -> Filter:
        return make_filter(MessageValidator, schema={"type": "object"}, **{"from": "both"})
