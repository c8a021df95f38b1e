"""`healthCheck` as values: what a spec means."""

from __future__ import annotations

from typing import Any

import pytest

from easews import HeaderMatch
from easews.upstream.health.checks import (
    Check,
    HttpCheck,
    TcpCheck,
    WsCheck,
    check_faults,
    check_from_spec,
)

#: What the schema fills in.
COMPLETE = {"interval": 10.0, "fails": 1, "jitter": 10, "onUnhealthy": "keep"}


def spec(**fields: Any) -> dict[str, Any]:
    return {**COMPLETE, **fields}


def test_a_check_connects_unless_it_says_more() -> None:
    assert check_from_spec(spec()) == Check(TcpCheck())
    assert check_from_spec(spec(tcp={})) == Check(TcpCheck())


def test_a_check_takes_no_longer_than_its_interval() -> None:
    assert check_from_spec(spec(interval=1)).timeout == 1
    assert check_from_spec(spec(interval=1, timeout=0.5)).timeout == 0.5


def test_a_check_knows_what_it_asks_and_which_answers_pass() -> None:
    http = {
        "path": "/healthz?deep=1",
        "method": "HEAD",
        "headers": {"X-Probe": "1"},
        "match": {"statusCodes": [[200, 204], 429], "headers": {}},
    }
    way = check_from_spec(spec(http=http)).way
    assert way == HttpCheck(
        "/healthz?deep=1", "HEAD", (("X-Probe", "1"),), ((200, 204), (429, 429))
    )
    passing = [status for status in (199, 200, 204, 205, 428, 429) if way.passes(status)]
    assert passing == [200, 204, 429]


def matching(**match: Any) -> Check:
    match = {"statusCodes": [200], "headers": {}, **match}
    return check_from_spec(spec(http={"method": "GET", "headers": {}, "match": match}))


def test_equal_checks_are_one_whatever_config_they_stand_in() -> None:
    """So that a server is checked once for all of them."""
    matches: list[dict[str, Any]] = [
        {},
        {"body": {"contains": "ok"}},
        {"body": {"contains": "no"}},
        {"body": {"regex": "ok"}},
        {"headers": {"X-Ready": {"exact": "1", "empty": False}}},
        {"headers": {"X-Ready": {"exact": "2", "empty": False}}},
    ]
    ready = {"X-Ready": {"exact": "1", "empty": False}}
    assert matching(headers=ready).way == HttpCheck(
        statuses=((200, 200),), answered=HeaderMatch(ready, match_all=True)
    )
    checks, again = [[matching(**match) for match in matches] for _ in range(2)]
    assert again == checks
    assert len({*checks, *again}) == len(checks)


@pytest.mark.parametrize(
    ("ws", "way"),
    [
        ({"headers": {}, "ping": False}, WsCheck()),
        ({"path": "/ws", "headers": {}, "ping": True}, WsCheck("/ws", ping=True)),
        ({"uri": "/ws", "headers": {"Origin": "https://a"}, "ping": False},
         WsCheck("/ws", (("Origin", "https://a"),))),
    ],
)  # fmt: skip
def test_a_handshake_may_say_more(ws: dict[str, Any], way: WsCheck) -> None:
    assert check_from_spec(spec(ws=ws)).way == way


def test_passes_has_two_names() -> None:
    assert check_from_spec(spec()).passes == 1
    assert check_from_spec(spec(passes=2)).passes == 2
    assert check_from_spec(spec(**{"pass": 3})).passes == 3


@pytest.mark.parametrize(
    ("fields", "path", "wrong"),
    [
        ({"ws": {}, "http": {}}, ["h", "ws"], "checked in one way, and `http` is one"),
        ({"ws": {}, "tcp": {}}, ["h", "tcp"], "checked in one way, and `ws` is one"),
        ({"pass": 1, "passes": 1}, ["h", "pass"], "another name for `passes`"),
        ({"ws": {"uri": "/", "path": "/"}}, ["h", "ws", "uri"], "another name for `path`"),
        ({"timeout": 11}, ["h", "timeout"], "longer than the interval"),
        (
            {"http": {"method": "GET", "match": {"statusCodes": [200, [299, 200]]}}},
            ["h", "http", "match", "statusCodes", 1],
            "no status is at least 299 and at most 200",
        ),
        (
            {"http": {"method": "HEAD", "match": {"body": {"contains": "ok"}}}},
            ["h", "http", "match", "body"],
            "an answer to HEAD has no body",
        ),
    ],
)
def test_fields_that_disagree_are_found(
    fields: dict[str, Any], path: list[str | int], wrong: str
) -> None:
    (fault,) = check_faults(spec(**fields), ["h"])
    assert list(fault.path) == path
    assert wrong in fault.wrong


def test_fields_that_agree_are_let_pass() -> None:
    assert not list(check_faults(spec(interval=0.5), ["h"]))
    match = {"statusCodes": [[200, 200]], "body": {"contains": "ok"}}
    http = {"path": "/", "method": "GET", "match": match}
    assert not list(check_faults(spec(timeout=10, http=http, passes=2), ["h"]))
