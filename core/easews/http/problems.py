"""Error answers of easews' own, in the format that the client accepts.

`application/problem+json` (RFC 9457) for programs, plain text for others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from http import HTTPStatus

from .headers import Headers
from .values import Request, Response

_TITLES = {status.value: status.phrase for status in HTTPStatus}

# The text is for this request only, and must not be taken for a web page.
_ALWAYS = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))

# RFC 9110 §12.4.2. Media-type parameters besides the weight make no difference here.
_range = re.compile(r"([^;\s]+)[ \t]*(?:;.*)?").fullmatch
_weight = re.compile(r";[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*(?:;|$)").search
_any_weight = re.compile(r";[ \t]*q=").search


def problem(
    request: Request | None,
    status: int,
    detail: str,
    headers: Iterable[tuple[str, str]] = (),
    *,
    id: str = "",
) -> Response:
    """An answer with this status whose `detail` says what is wrong and what would be right.

    It is `application/problem+json` (RFC 9457) if `request` accepts that, else plain text.
    `headers` are added, such as Allow. `id` is the request's, shown to the client so that the log
    can be searched for it. The access log has `detail` as the reason.
    """
    if request is not None and _wants_json(request.headers):
        return json_problem(status, detail, headers, id=id)
    content = f"{status} {_TITLES.get(status, '')}: {detail}" + (f" (request {id})" if id else "")
    return _refusal(status, detail, "text/plain; charset=utf-8", content, headers)


def json_problem(
    status: int, detail: str, headers: Iterable[tuple[str, str]] = (), *, id: str = ""
) -> Response:
    """As `problem`, for clients that are programs."""
    title = _TITLES.get(status, "")
    members = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    content = json.dumps(members | {"requestId": id} if id else members)
    return _refusal(status, detail, "application/problem+json", content, headers)


def _refusal(
    status: int, detail: str, media_type: str, content: str, headers: Iterable[tuple[str, str]]
) -> Response:
    # A detail may quote what the client sent, and that need not be Unicode.
    body = content.encode("utf-8", "backslashreplace") + b"\n"
    fields = [("Content-Type", media_type), *_ALWAYS, *headers]
    return Response(status, fields, body, reason=detail)


def _wants_json(headers: Headers) -> bool:
    """Whether JSON is preferred to plain text, which wins a tie (RFC 9110 §12.5.1).

    application/json counts as well: a client that asks for it expects errors as JSON, too. When
    neither is acceptable, plain text is still better than no answer.
    """
    accepted = _accepted(headers)
    json_weight = max(
        _weight_of("application/problem+json", accepted), _weight_of("application/json", accepted)
    )
    return json_weight > _weight_of("text/plain", accepted)


def _accepted(headers: Headers) -> dict[str, float]:
    """The media ranges of Accept and their weights; malformed ones are ignored."""
    accepted: dict[str, float] = {}
    for element in headers.tokens("accept"):
        media_range, weight = _range(element), _weight(element)
        if media_range and (weight or not _any_weight(element)):
            accepted[media_range[1]] = float(weight[1]) if weight else 1.0
    return accepted


def _weight_of(media_type: str, accepted: dict[str, float]) -> float:
    """The weight of the most specific range that includes `media_type`, 0 without one."""
    group = media_type.partition("/")[0]
    for media_range in (media_type, f"{group}/*", "*/*"):
        if media_range in accepted:
            return accepted[media_range]
    return 0.0
