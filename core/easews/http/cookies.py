"""Cookies of a request (RFC 6265)."""

from __future__ import annotations

from .headers import Headers


def cookie(headers: Headers, name: str) -> str | None:
    """The value of the first cookie called `name`, None when there is none (RFC 6265 §5.4).

    Names are compared with case, and a value is taken as it stands, with its quotes if it has any.
    """
    for line in headers.get_all("cookie"):
        for pair in line.split(";"):
            found, is_pair, value = pair.strip(" \t").partition("=")
            if is_pair and found == name:
                return value
    return None
