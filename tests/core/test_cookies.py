"""Cookies as they stand in header fields."""

from __future__ import annotations

import pytest

from easews import Headers
from easews.http.cookies import cookie, cookies, sets_cookie


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        ([], []),
        (["a=1"], ["1"]),
        (["b=2; a=1; c=3"], ["1"]),
        (["b=2;\ta=1\t;c"], ["1"]),
        (["a=1; a=2", "a=3"], ["1", "2", "3"]),
        (["a=b=c"], ["b=c"]),
        (['a="1"'], ['"1"']),
        (["a="], [""]),
        (["a"], []),
        (["A=1; xa=1; ax=1; Xa=1; \xa0a=1"], []),
        (["b=a=1"], []),
    ],
)
def test_all_cookies_of_a_name_are_found_in_order(lines: list[str], values: list[str]) -> None:
    headers = Headers([("Cookie", line) for line in lines])
    assert [*cookies(headers, "a")] == values
    assert cookie(headers, "a") == (values[0] if values else None)


@pytest.mark.parametrize(
    ("line", "is_set"),
    [
        ("a=1", True),
        ("a=1; Path=/", True),
        ("a =1", True),
        ("a=b=c; Path=/", True),
        ("a=; Max-Age=0", True),
        ("b=1; a=2", False),
        ("\xa0a=1", False),
        ("aX=1", False),
        ("a; Path=/", False),
        ("=a", False),
    ],
)
def test_an_answer_sets_a_cookie(line: str, is_set: bool) -> None:
    assert sets_cookie(Headers([("Set-Cookie", line)]), "a") is is_set
