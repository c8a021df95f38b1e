from __future__ import annotations

import pytest
from easews import Filter
from easews.testing import FilterConformance, conversation, make_filter

from easews_mask_json_field import MaskJsonField


def masking(**spec: str) -> MaskJsonField:
    return make_filter(MaskJsonField, fields=["password", "token"], **spec)


class TestConformance(FilterConformance):
    def make(self) -> Filter:
        return masking()


async def test_the_client_does_not_get_what_is_hidden() -> None:
    async with conversation(masking()) as talk:
        await talk.backend.sends_json({"user": "ada", "password": "s3cret", "token": None})
        await talk.client.receives_json({"user": "ada", "password": "***", "token": "***"})


async def test_it_is_hidden_at_any_depth() -> None:
    async with conversation(masking(mask="[hidden]")) as talk:
        await talk.backend.sends_json([{"users": [{"password": {"old": "a", "new": "b"}}]}])
        await talk.client.receives_json([{"users": [{"password": "[hidden]"}]}])


@pytest.mark.parametrize(
    "text",
    [
        '{"p\\u0061ssword": "s3cret"}',
        '{"password": 1, "password": "s3cret"}',
        '{"a": {"password": "s3cret"}, "a": 1}',
    ],
)
async def test_no_spelling_of_json_shows_it(text: str) -> None:
    async with conversation(masking()) as talk:
        await talk.backend.sends(text)
        assert "s3cret" not in str(await talk.client.next_message())


async def test_what_has_nothing_to_hide_goes_on_as_it_came() -> None:
    async with conversation(masking()) as talk:
        await talk.backend.sends('{ "a":1.50 }', b"\x00")
        await talk.client.receives('{ "a":1.50 }', b"\x00")


async def test_what_clients_send_is_not_read() -> None:
    async with conversation(masking()) as talk:
        await talk.client.sends('{"password": "s3cret"}')
        await talk.backend.receives('{"password": "s3cret"}')


@pytest.mark.parametrize("text", ["password: s3cret", '{"password": 1, "n": 1e999}'])
async def test_text_that_is_no_json_is_dropped_unless_it_may_pass(text: str) -> None:
    async with conversation(masking()) as talk:
        await talk.backend.sends(text)
        await talk.client.receives_nothing()
    async with conversation(masking(otherText="pass")) as talk:
        await talk.backend.sends(text)
        await talk.client.receives(text)
