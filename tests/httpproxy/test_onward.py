"""The request as a server gets it, as values."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing

import pytest

from easews import BadAnswer, Headers, Request
from easews_httpproxy.onward import (
    DEFAULT_BODY_LIMIT,
    Nothing,
    body_length,
    body_limit,
    expects_continue,
    has_body,
    server_headers,
    within,
)


def onward(*fields: tuple[str, str], last: bool = False, host: str = "") -> list[tuple[str, str]]:
    request = Request("POST", "/", Headers([("Host", "x"), *fields]))
    return [*server_headers(request, host, request.headers, last=last)]


def test_host_comes_first_and_is_the_servers_or_the_clients() -> None:
    assert onward(("A", "b")) == [("Host", "x"), ("A", "b")]
    assert onward(("A", "b"), host="y") == [("Host", "y"), ("A", "b")]


def test_the_framing_is_written_once_and_in_one_spelling() -> None:
    assert onward(("Content_Length", "7"), ("content-length", "5"), ("Content.Length", "9")) == [
        ("Host", "x"),
        ("Content-Length", "5"),
    ]
    assert onward(("Transfer_Encoding", "x"), ("Transfer-Encoding", "chunked")) == [
        ("Host", "x"),
        ("Transfer-Encoding", "chunked"),
    ]


def test_a_connection_for_one_request_says_so() -> None:
    assert onward(("Connection", "upgrade"), ("Upgrade", "h2c"), last=True) == [
        ("Host", "x"),
        ("Connection", "close"),
    ]


@pytest.mark.parametrize(
    ("fields", "length", "there_is_one"),
    [
        ([], 0, False),
        ([("Content-Length", "0")], 0, False),
        ([("Content-Length", "00")], 0, False),
        ([("Content-Length", "10")], 10, True),
        ([("Transfer-Encoding", "chunked")], None, True),
    ],
)
def test_a_head_says_whether_a_body_follows(
    fields: list[tuple[str, str]], length: int | None, there_is_one: bool
) -> None:
    request = Request("POST", "/", Headers(fields))
    assert (body_length(request), has_body(request)) == (length, there_is_one)


@pytest.mark.parametrize(
    ("fields", "version", "expected"),
    [
        ([("Expect", "100-Continue"), ("Content-Length", "1")], "1.1", True),
        ([("Expect", "100-continue"), ("Content-Length", "1")], "1.0", False),
        ([("Expect", "100-continue")], "1.1", False),
        ([("Expect", "something"), ("Content-Length", "1")], "1.1", False),
        ([("Content-Length", "1")], "1.1", False),
    ],
)
def test_a_client_expects_100_only_with_a_body_and_in_http_1_1(
    fields: list[tuple[str, str]], version: str, expected: bool
) -> None:
    request = Request("POST", "/", Headers(fields), version=version)
    assert expects_continue(request) is expected
    sent = server_headers(request, "x", request.headers, last=False)
    assert sent.get_all("expect") == (["100-continue"] if expected else [])


@pytest.mark.parametrize(
    ("pool", "path", "limit"),
    [(5, -1, 5), (-1, 7, -1), (None, 7, 7), (None, -1, DEFAULT_BODY_LIMIT), (9, 7, 9)],
)
def test_the_pools_own_limit_wins(pool: int | None, path: int, limit: int) -> None:
    assert body_limit(pool, path) == limit


async def pieces_of(body: AsyncIterable[bytes]) -> list[bytes]:
    return [piece async for piece in body]


async def _pieces(*sizes: int) -> AsyncGenerator[bytes, None]:
    for size in sizes:
        yield bytes(size)


async def test_a_body_within_its_limit_passes_whole_and_another_breaks_off() -> None:
    assert await pieces_of(within(_pieces(3, 2), 5)) == [bytes(3), bytes(2)]
    async with aclosing(_pieces(3, 3)) as pieces:
        over = within(pieces, 5)
        assert await anext(over) == bytes(3)
        with pytest.raises(BadAnswer, match="over 5 bytes"):
            await anext(over)


async def test_an_answer_without_a_body_has_no_pieces() -> None:
    assert await pieces_of(Nothing()) == []
