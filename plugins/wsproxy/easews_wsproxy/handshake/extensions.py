"""permessage-deflate, as far as it is negotiated (RFC 7692).

Client and backend compress end to end. What passes here is the agreement: which offers go on,
whether an answer is one that a server may give to them, and what they have agreed on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from easews import Headers

_DEFLATE = "permessage-deflate"
_FIELD = "sec-websocket-extensions"
# An element with its quoted strings, in which a comma separates nothing (RFC 6455 §9.1).
_ELEMENTS = re.compile(r'(?:[^",]|"(?:\\.|[^"\\])*"?)+').findall

SERVER_FORGETS = "server_no_context_takeover"
CLIENT_FORGETS = "client_no_context_takeover"
SERVER_BITS = "server_max_window_bits"
CLIENT_BITS = "client_max_window_bits"

# RFC 7692 §7.1: which values each parameter may have; "" is no value.
_FLAG = frozenset([""])
_BITS = frozenset(map(str, range(8, 16)))  # decimal, without leading zeros
_IN_OFFERS = {
    SERVER_FORGETS: _FLAG,
    CLIENT_FORGETS: _FLAG,
    SERVER_BITS: _BITS,
    CLIENT_BITS: _BITS | _FLAG,
}
_IN_ANSWERS = _IN_OFFERS | {CLIENT_BITS: _BITS}


def elements(headers: Headers) -> list[str]:
    """The elements of all lines of Sec-WebSocket-Extensions, as they were written."""
    lines = headers.by_name.get(_FIELD)
    if lines is None:
        return []
    found: list[str] = []
    for line in lines:
        found += _ELEMENTS(line) if '"' in line else line.split(",")
    return [element for raw in found if (element := raw.strip(" \t"))]


def deflate_elements(headers: Headers) -> list[str]:
    """Those `elements` that are about permessage-deflate, as they were written."""
    return [element for element in elements(headers) if _name(element) == _DEFLATE]


def agreed_parameters(headers: Headers) -> dict[str, str] | None:
    """The parameters of permessage-deflate in an answer that `check` has nothing against; "" is no
    value. None when it is not agreed.
    """
    answered = deflate_elements(headers)
    return _parameters(answered[0], _IN_ANSWERS) if answered else None


def check(answered: Sequence[str], offered: Sequence[str]) -> str | None:
    """What is wrong with the elements of an answer to the offered elements, or None."""
    if not answered:
        return None
    if any(_name(element) != _DEFLATE for element in answered) or not offered:
        return "its Sec-WebSocket-Extensions has an extension that was not offered"
    if len(answered) > 1:
        return "its Sec-WebSocket-Extensions agrees to permessage-deflate more than once"
    answer = _parameters(answered[0], _IN_ANSWERS)
    if answer is None:
        return "its permessage-deflate has a parameter that RFC 7692 does not allow in an answer"
    offers = [offer for text in offered if (offer := _parameters(text, _IN_OFFERS)) is not None]
    if not any(_answers(answer, offer) for offer in offers):
        return "its permessage-deflate is no answer to what was offered"
    return None


def _name(element: str) -> str:
    return element.partition(";")[0].rstrip(" \t")


def _parameters(element: str, allowed: dict[str, frozenset[str]]) -> dict[str, str] | None:
    """The parameters of an element, or None when one is unknown, repeated or ill-valued."""
    parameters: dict[str, str] = {}
    for text in element.split(";")[1:]:
        raw_name, equals, raw_value = text.partition("=")
        name, value = raw_name.strip(" \t"), raw_value.strip(" \t")
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = value[1:-1]
        if name in parameters or value not in allowed.get(name, ()) or bool(equals) != bool(value):
            return None
        parameters[name] = value
    return parameters


def _answers(answer: dict[str, str], offer: dict[str, str]) -> bool:
    """Whether a server may give this answer to this offer (RFC 7692 §7.1.1 and §7.1.2)."""
    if SERVER_FORGETS in offer and SERVER_FORGETS not in answer:
        return False
    if SERVER_BITS in offer and not _at_most(answer.get(SERVER_BITS), offer[SERVER_BITS]):
        return False
    if CLIENT_BITS in answer:
        return CLIENT_BITS in offer and _at_most(answer[CLIENT_BITS], offer[CLIENT_BITS] or "15")
    return True


def _at_most(bits: str | None, limit: str) -> bool:
    return bits is not None and int(bits) <= int(limit)
