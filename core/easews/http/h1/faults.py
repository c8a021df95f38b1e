"""What is wrong with a message: the errors, and which check a refused head has failed.

A good head is accepted by one regular expression in `heads`. Only when that does not match are
the checks here gone through, one by one, to tell the sender what to mend.
"""

from __future__ import annotations

import re

from ...errors import MessageError


class HeadError(MessageError):
    """A request head (or a backend's response head, then `status` is 502) that is refused."""


class BodyError(MessageError):
    """A body that is not framed as its head says, or that ends before its end."""


TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # RFC 9110 §5.6.2

# Searched for in the whole head, in this order.
_ANYWHERE = (
    (re.compile(r"(?<!\r)\n"), "a line ends in a bare LF (RFC 9112 §2.2)"),
    (re.compile(r"\r(?!\n)"), "there is a bare CR (RFC 9112 §2.2)"),
    (re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"), "there is a control character"),
    (re.compile(r"\r\n[ \t]"), "a line begins with white space (RFC 9112 §5.2)"),
)

# Searched for in each field line, in this order.
_IN_A_FIELD = (
    (re.compile(r"\A[^:]*\Z"), "a field line has no colon"),
    (re.compile(r"\A:"), "a field has no name"),
    (re.compile(r"\A[^:]*[ \t]:"), "there is white space before a colon (RFC 9112 §5.1)"),
    (re.compile(rf"\A(?!{TOKEN}:)"), "a field's name has a character that no name may have"),
)

_token = re.compile(TOKEN).fullmatch
_visible = re.compile(r"[!-~]+").fullmatch
_version = re.compile(r"HTTP/[0-9]\.[0-9]").fullmatch


def request_fault(text: str) -> HeadError:
    """Which check the request head `text` has failed."""
    line, *fields = text.split("\r\n")
    return (
        _fault_anywhere(text, 400)
        or _request_line_fault(line)
        or _field_fault(fields, 400)
        or HeadError(400, "the head is malformed")
    )


def response_fault(text: str) -> HeadError:
    """Which check the response head `text` has failed."""
    fields = text.split("\r\n")[1:]
    return (
        _fault_anywhere(text, 502)
        or _field_fault(fields, 502)
        or HeadError(502, "the status line is malformed (RFC 9112 §4)")
    )


def _fault_anywhere(text: str, status: int) -> HeadError | None:
    for fault, detail in _ANYWHERE:
        if fault.search(text):
            return HeadError(status, detail)
    return None


def _request_line_fault(line: str) -> HeadError | None:
    parts = line.split(" ")
    if len(parts) != 3:
        return HeadError(400, "the request line is not 'method target version' (RFC 9112 §3)")
    method, target, version = parts
    if not _token(method):
        return HeadError(400, "the method has a character that no method may have")
    if not _visible(target):
        return HeadError(400, "the request target has a character outside of visible ASCII")
    if "#" in target:
        return HeadError(400, "the request target has a fragment")
    if not _version(version):
        return HeadError(400, "the request line does not end in an HTTP version")
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        return HeadError(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
    return None


def _field_fault(lines: list[str], status: int) -> HeadError | None:
    for line in filter(None, lines):
        for fault, detail in _IN_A_FIELD:
            if fault.search(line):
                return HeadError(status, detail)
    return None
