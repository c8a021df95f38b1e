"""Paths and texts that are rewritten. More of the rules is in `test_router`, with rewriteTarget."""

from __future__ import annotations

import pytest

from easews import (
    replace_in_path,
    replace_in_text,
    replace_path,
    replace_path_prefix,
    rewrite_target,
)


def test_a_path_is_replaced_and_its_query_stays() -> None:
    assert rewrite_target("/a/b?x=/a", replace_path("/new path")) == "/new%20path?x=/a"


@pytest.mark.parametrize(
    ("raw", "rewritten"),
    [
        ("/api/a%20b", "/a%20b"),
        ("/a%70i/x", "/x"),
        ("/api", "/"),
        ("/apix", "/x"),
        ("/other/api", "/other/api"),
        ("//api//x", "//x"),
    ],
)
def test_a_prefix_is_removed_where_the_path_begins_with_it(raw: str, rewritten: str) -> None:
    assert replace_path_prefix("/api", "")(raw) == rewritten


def test_a_prefix_is_put_in_front_in_the_clients_encoding() -> None:
    assert replace_in_path("^", "/v1")("//a%2Fb") == "/v1//a%2Fb"


def test_groups_of_a_match_keep_the_clients_encoding() -> None:
    rewrite = replace_in_path(r"^/u/([^/]+)", "/users/$1")
    assert rewrite("/u/a%20b/c") == "/users/a%20b/c"


@pytest.mark.parametrize(
    ("text", "result"),
    [("http://a/b", "https://a/b"), ("ftp://a", None), ("http://http://", "https://http://")],
)
def test_a_text_without_match_has_no_result(text: str, result: str | None) -> None:
    assert replace_in_text("^http://", "https://")(text) == result


def test_every_match_in_a_text_is_replaced() -> None:
    assert replace_in_text("(a)(b?)", "<$2$1>$$")("abca") == "<ba>$c<a>$"


def test_a_path_that_servers_would_read_differently_is_refused() -> None:
    with pytest.raises(ValueError, match="dot segment"):
        rewrite_target("/files../x", replace_path_prefix("/files", "/data/"))
