"""What goes on to a server and back to the client, whatever the protocol."""

from __future__ import annotations

import pytest

from easews import (
    BadAnswer,
    ConnectError,
    ConnectTimeout,
    ForwardedPolicy,
    Headers,
    Route,
    UpstreamError,
    UpstreamTimeout,
)
from easews.testing import make_context
from easews.upstream import (
    Busy,
    NoServer,
    Server,
    answer_for,
    onward_headers,
    onward_target,
    passed_on,
)


@pytest.mark.parametrize(
    ("base_path", "target", "sent"),
    [
        ("", "/chat?x=1&y=%20", "/chat?x=1&y=%20"),
        ("/", "/%63hat/a%2Fb", "/%63hat/a%2Fb"),
        ("/base", "/chat", "/base/chat"),
        ("/base/", "/chat", "/base/chat"),
        ("/base", "/?x", "/base/?x"),
        ("/base", "*", "*"),
    ],
)
def test_path_and_query_go_on_byte_for_byte_below_the_urls_path(
    base_path: str, target: str, sent: str
) -> None:
    assert onward_target(Server.at(f"http://backend.example{base_path}"), target) == sent


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("ws://backend.example", "backend.example"),
        ("ws://backend.example:80/base", "backend.example"),
        ("ws://backend.example:8000", "backend.example:8000"),
        ("http://localhost:12345", "localhost:12345"),
        ("wss://backend.example:443", "backend.example"),
        ("wss://backend.example:80", "backend.example:80"),
        ("WS://Backend.Example", "backend.example"),
        ("ws://127.0.0.1:12345", ""),
        ("ws://[::1]:12345", ""),
    ],
)
def test_a_server_is_asked_by_its_name_and_an_ip_has_none(url: str, host: str) -> None:
    assert Server.at(url).own_host == host
    assert Server.at(url, keep_host=True).own_host == ""


def test_the_peer_is_named_once() -> None:
    ctx = make_context(headers=[("A", "b")])
    policy = ForwardedPolicy(fields=["for"])
    assert onward_headers(ctx, policy).get_all("x-forwarded-for") == ["127.0.0.1"]
    assert "x-forwarded-for" not in ctx.request.headers
    ctx.forwarded = True  # a filter has decided on these fields
    assert "x-forwarded-for" not in onward_headers(ctx, policy)


def test_a_server_may_leave_x_forwarded_for_as_it_is() -> None:
    ctx = make_context(headers=[("X-Forwarded-For", "203.0.113.5")])
    ctx.route = Route(forwarded_for=False)
    headers = onward_headers(ctx, ForwardedPolicy())
    assert headers.get_all("x-forwarded-for") == ["203.0.113.5"]
    assert headers.get("x-forwarded-proto") == "http"


def test_only_a_426_of_the_backend_keeps_its_upgrade() -> None:
    fields = [("Connection", "upgrade, X-Hop"), ("Upgrade", "x/1, x/2"), ("X-Hop", "1"), ("A", "b")]
    assert passed_on(403, Headers(fields)) == Headers([("A", "b")])
    kept = [("A", "b"), ("Connection", "Upgrade"), ("Upgrade", "x/1, x/2")]
    assert passed_on(426, Headers(fields)) == Headers(kept)
    assert passed_on(426, Headers([("A", "b")])) == Headers([("A", "b")])


def test_a_length_beside_a_transfer_coding_is_not_passed_on() -> None:
    length = Headers([("Content-Length", "5")])
    both = Headers([("Content-Length", "5"), ("Transfer-Encoding", "chunked")])
    assert list(passed_on(403, length)) == [("Content-Length", "5")]
    assert list(passed_on(403, both)) == []


def test_a_426_says_what_is_required() -> None:
    required = Headers([("Upgrade", "h2c"), ("Upgrade", "x")])
    assert list(passed_on(426, required)) == [
        ("Connection", "Upgrade"),
        ("Upgrade", "h2c"),
        ("Upgrade", "x"),
    ]
    assert list(passed_on(400, required)) == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NoServer("http://secret: none"), 503),
        (Busy("http://secret: full"), 503),
        (UpstreamTimeout("http://secret: late"), 504),
        (ConnectTimeout("http://secret: late"), 504),
        (ConnectError("http://secret: refused"), 502),
        (BadAnswer("http://secret: nonsense"), 502),
    ],
)
def test_a_client_is_told_of_a_failure_and_no_name(error: UpstreamError, status: int) -> None:
    answer = answer_for(make_context(), error)
    assert answer.status == status
    assert answer.reason
    assert "secret" not in f"{answer.reason} {answer.headers}"
    assert ("retry-after" in answer.headers) is (status == 503)
