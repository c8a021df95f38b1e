"""Answers of easews itself: their form by Accept, and what they always carry."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import Headers, Request, Response, problem

JSON = "application/problem+json"
TEXT = "text/plain; charset=utf-8"


def accepting(*values: str) -> Request:
    return Request("GET", "/", Headers([("Accept", value) for value in values]))


def media_type(*accept: str) -> str:
    return problem(accepting(*accept), 404, "no such path").headers.get("content-type")


async def content(response: Response) -> bytes:
    return b"".join([piece async for piece in response.body])


def test_the_detail_is_the_reason_in_the_log() -> None:
    assert problem(accepting(JSON), 404, "no such path").reason == "no such path"
    assert Response(404).reason == ""


async def test_a_program_gets_the_members_of_rfc_9457_and_the_requests_id() -> None:
    response = problem(accepting(JSON), 404, "no such path", id="r-1")
    assert response.status == 404
    assert json.loads(await content(response)) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "no such path",
        "requestId": "r-1",
    }


async def test_everybody_else_gets_one_line_of_text() -> None:
    response = problem(accepting("text/html", "*/*;q=0.8"), 405, "send GET", id="r-1")
    assert await content(response) == b"405 Method Not Allowed: send GET (request r-1)\n"
    assert response.headers.get("content-type") == TEXT


async def test_a_request_that_could_not_be_read_is_answered_in_text() -> None:
    response = problem(None, 400, "there is a bare CR")
    assert await content(response) == b"400 Bad Request: there is a bare CR\n"


# RFC 9110 §12.5.1. Firefox, curl and axios are as they send it.
@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ((), TEXT),
        (("*/*",), TEXT),
        (("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",), TEXT),
        (("application/json, text/plain, */*",), TEXT),
        (("application/json",), JSON),
        (("application/json", "*/*;q=0.1"), JSON),
        (("Application/Problem+JSON; charset=utf-8",), JSON),
        (("application/*, text/plain;q=0.9",), JSON),
        (("text/plain;q=0.5, application/json;q=0.4",), TEXT),
        (("text/*;q=0, application/*;q=0.001",), JSON),
        (("*/*, text/plain;q=0.999",), JSON),
        (("*/*, application/problem+json;q=0, application/json;q=0",), TEXT),
        (("image/png",), TEXT),
        (("application/json;q=2, application/json;q=x",), TEXT),
        ((";q=1,,/,",), TEXT),
    ],
)
def test_the_form_is_the_preferred_one_and_text_wins_a_tie(
    accept: tuple[str, ...], expected: str
) -> None:
    assert media_type(*accept) == expected


def test_no_answer_is_stored_or_taken_for_a_web_page() -> None:
    response = problem(accepting(JSON), 405, "send GET", [("Allow", "GET")])
    assert list(response.headers) == [
        ("Content-Type", JSON),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Allow", "GET"),
    ]


async def test_a_status_that_nobody_registered_has_no_title() -> None:
    response = problem(accepting(JSON), 499, "gone")
    assert json.loads(await content(response))["title"] == ""


@pytest.mark.parametrize("accept", [JSON, "*/*"])
async def test_a_detail_may_quote_bytes_that_are_no_text(accept: str) -> None:
    response = problem(accepting(accept), 404, "no path /\udcff")
    assert b"\\udcff" in await content(response)
    assert response.content_length == len(
        await content(problem(accepting(accept), 404, "no path /\udcff"))
    )


@given(st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"])), st.text())
def test_no_accept_and_no_detail_is_an_error(accept: str, detail: str) -> None:
    assert problem(accepting(accept), 400, detail).status == 400
