"""Cookies of a request, and those that an answer sets (RFC 6265)."""

from __future__ import annotations

from collections.abc import Iterator

from .headers import Headers


def cookies(headers: Headers, name: str) -> Iterator[str]:
    """The values of all cookies called `name`, in order (RFC 6265 §5.4).

    A client has several of one name when they were set for different paths or domains. Names are
    compared with case, and a value is taken as it stands, with its quotes if it has any.
    """
    for line in headers.by_name.get("cookie", ()):
        for pair in line.split(";"):
            found, is_pair, value = pair.strip(" \t").partition("=")
            if is_pair and found == name:
                yield value


def cookie(headers: Headers, name: str) -> str | None:
    """The value of the first cookie called `name`, None when there is none."""
    return next(cookies(headers, name), None)


def sets_cookie(headers: Headers, name: str) -> bool:
    """Whether an answer with these `headers` sets the cookie `name` (RFC 6265 §5.2)."""
    for line in headers.by_name.get("set-cookie", ()):
        found, is_pair, _ = line.partition("=")
        if is_pair and found.strip(" \t") == name:
            return True
    return False
