"""A request of the admin interface: to its operation, and back as an answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from ..filters import Context
from ..http import Headers, Request, Response
from ..http.problems import json_problem
from ..observe.logs import log_event
from ..operate.control import Control, NotAvailable, Refused
from .auth import Access, AccessPolicy
from .fields import NOTHING
from .inputs import MOST_BYTES, BadInput, from_body, from_query
from .operations import PARAMETERS, Given, NotFound, Operation

log: logging.Logger = logging.getLogger("easews.admin")

#: What every answer has. A page of ours, which has a policy of its own, keeps that.
_ALWAYS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_JSON = "application/json"


class Refusing(Exception):
    """The request is not answered as it wants."""

    def __init__(self, status: int, detail: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.headers: list[tuple[str, str]] = [*headers]


class Api:
    """Answers requests about what `control` controls, which `policy` lets in."""

    def __init__(
        self, control: Control, policy: AccessPolicy, operations: Iterable[Operation]
    ) -> None:
        self._control = control
        self._policy = policy
        self._paths: dict[str, dict[str, Operation]] = {}
        for operation in operations:
            self._paths.setdefault(operation.path, {})[operation.method] = operation

    async def answer(self, ctx: Context) -> Response:
        """The answer, whatever is asked."""
        try:
            response = await self._answered(ctx)
        except Refusing as refusal:
            response = json_problem(refusal.status, str(refusal), refusal.headers, id=ctx.id)
        for name, value in _ALWAYS:
            if name not in response.headers:
                response.headers.add(name, value)
        return response

    async def _answered(self, ctx: Context) -> Response:
        request = ctx.request
        methods, name = self._found(request.path)
        # Without the token nobody learns which paths and methods there are.
        access: Access = next((it.access for it in methods.values()), "token")
        if (refusal := self._policy.refusal(request, access)) is not None:
            raise Refusing(*refusal)
        operation = _asked(methods, request.method)
        try:
            fields = await _fields(operation, request)
            ctx.rest()  # what takes long has limits of its own
            value = await operation.run(Given(self._control, name, fields))
        except BadInput as fault:
            raise Refusing(400, str(fault)) from None
        except NotFound as fault:
            raise Refusing(404, str(fault)) from None
        except Refused as fault:
            raise Refusing(409, str(fault)) from None
        except NotAvailable as fault:
            raise Refusing(501, str(fault)) from None
        if operation.changes:
            _tell(operation, request, name, fields, value)
        return _response(value)

    def _found(self, path: str) -> tuple[Mapping[str, Operation], str]:
        """The operations of a path by their methods, and the id in it."""
        if path in self._paths:
            return self._paths[path], ""
        for part, parameter in PARAMETERS.items():
            head, _, tail = path.partition(f"/{part}/")
            name, slash, rest = tail.partition("/")
            pattern = f"{head}/{part}/{{{parameter}}}{slash}{rest}"
            if name and pattern in self._paths:
                return self._paths[pattern], name
        return {}, ""


def _asked(methods: Mapping[str, Operation], method: str) -> Operation:
    if not methods:
        raise Refusing(404, "there is no such path; /api/v1/openapi.json has all of them")
    found = methods.get("GET" if method == "HEAD" else method)
    if found is None:
        allowed = [*methods, *(["HEAD"] if "GET" in methods else [])]
        raise Refusing(405, f"use {' or '.join(methods)}", [("Allow", ", ".join(allowed))])
    return found


async def _fields(operation: Operation, request: Request) -> Mapping[str, Any]:
    """What the request gives, checked."""
    if operation.body is None:
        return from_query(request.query, operation.query or NOTHING)
    if request.query:
        raise BadInput("this takes no query: write it into the body")
    media_type = request.headers.get("content-type").partition(";")[0].strip().lower()
    if media_type != _JSON:  # which no form of another site's page can send
        raise Refusing(415, f"send JSON, with Content-Type: {_JSON}", [("Accept", _JSON)])
    return from_body(await _body(request), operation.body)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.body:
        body += piece
        if len(body) > MOST_BYTES:
            raise Refusing(413, f"the body has more than {MOST_BYTES} bytes")
    return bytes(body)


def _response(value: object) -> Response:
    """A value as JSON, with its status if it has one."""
    if isinstance(value, Response):
        return value
    status, content = value if isinstance(value, tuple) else (200, value)
    fields = Headers([("Content-Type", _JSON)])
    return Response(status, fields, json.dumps(content).encode() + b"\n")


def _tell(
    operation: Operation, request: Request, id: str, fields: Mapping[str, Any], value: object
) -> None:
    """A line in the log: who has changed what."""
    labels = {f"label.{name}": it for name, it in fields.get("labels", {}).items()}
    answer = value if isinstance(value, dict) else {}
    log_event(
        log,
        "admin",
        {
            "action": operation.name,
            "client": request.peer.host,
            "session": id,
            **{name: _short(it) for name, it in {**fields, **labels}.items() if name != "labels"},
            **{name: it for name, it in answer.items() if isinstance(it, (str, int))},
        },
    )


def _short(value: object) -> object:
    return ", ".join(map(str, value[:20])) if isinstance(value, list) else value
