"""Requests of the admin interface and their answers, without a network."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import Context, Headers, Request, Response
from easews.admin.api import Api
from easews.admin.auth import AccessPolicy
from easews.admin.inputs import BadInput, from_body, from_query
from easews.admin.openapi import document
from easews.admin.operations import OPERATIONS
from easews.admin.types import schema_of
from easews.observe.logs import FIELDS
from easews.operate.control import (
    NotAvailable,
    Query,
    Refused,
    ReloadResult,
    SessionPage,
    State,
    Status,
    UpgradeResult,
    WorkerReplaced,
)

TOKEN = "0123456789abcdef"


class FakeControl:
    """Answers as the test says, and keeps what it was asked."""

    def __init__(self, *, ready: bool = True, error: Exception | None = None) -> None:
        self.ready = ready
        self.error = error
        self.asked: list[Any] = []

    async def state(self) -> State:
        return "ready" if self.ready else "draining"

    async def status(self) -> Status:
        known: Any = {"ready": self.ready, "state": await self.state()}
        return known  # type: ignore[no-any-return]

    async def config(self) -> list[object]:
        return [
            {"kind": "HTTPServer", "name": "s", "rules": [{"paths": [{"backend": "p"}] * 2}]},
            {
                "kind": "Pipeline",
                "name": "p",
                "filters": [{"kind": "Mock", "name": "m", "code": 1}],
            },
        ]

    async def pools(self) -> list[Any]:
        return []

    async def sessions(self, query: Query) -> SessionPage:
        self._note(query)
        return {"sessions": [], "total": 0, "next": None}

    async def session(self, id: str) -> Any:
        return {"id": id} if id == "a-1" else None

    async def close(self, query: Query, code: int, reason: str) -> int:
        self._note((query, code, reason))
        return 0 if query.get("ids") == ["gone"] else 1

    async def ping(self, id: str) -> bool:
        return id == "a-1"

    async def drain_server(self, url: str) -> int:
        self._note(url)
        return 3

    async def undrain_server(self, url: str) -> bool:
        self._note(url)
        return False

    async def reload(self) -> ReloadResult:
        return {"outcome": "reloaded", "generation": 2, "changes": ["x"], "problems": []}

    async def upgrade(self) -> UpgradeResult:
        raise NotAvailable("no upgrades")

    async def replace_worker(self, number: int) -> WorkerReplaced | None:
        self._note(number)
        if number != 2:
            return None
        return {
            "outcome": "replaced",
            "worker": 2,
            "pid": 7,
            "moved": 3,
            "kept_behind": 0,
            "problems": [],
        }

    async def metrics(self) -> bytes:
        raise NotAvailable("no metrics")

    async def tap(self, id: str) -> AsyncGenerator[dict[str, Any], None]:
        self._note(id)
        yield {"tapping": id}
        yield {"size": 1}

    def _note(self, what: Any) -> None:
        self.asked.append(what)
        if self.error is not None:
            raise self.error


async def ask(
    method: str,
    target: str,
    body: object = None,
    headers: Mapping[str, str] = {},
    *,
    control: FakeControl | None = None,
    policy: AccessPolicy | None = None,
) -> tuple[Response, Any]:
    """The answer, and its JSON."""
    fields = {"Host": "localhost:9901", **headers}
    if body is not None:
        fields = {"Content-Type": "application/json", **fields}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request(method, target, Headers([*fields.items()]), body=Pieces(content))
    api = Api(control or FakeControl(), policy or AccessPolicy(), OPERATIONS)
    response = await api.answer(Context(request, id="r-1"))
    text = b"".join([piece async for piece in response.body])
    return response, json.loads(text)


class Pieces:
    """A body in pieces, as it comes from a connection."""

    def __init__(self, content: bytes) -> None:
        self._rest = content

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece, self._rest = self._rest[:1000], self._rest[1000:]
        if not piece:
            raise StopAsyncIteration
        return piece


async def refused(status: int, *request: Any, **more: Any) -> str:
    """What the detail of the refusal says."""
    response, told = await ask(*request, **more)
    assert (response.status, told["status"]) == (status, status), told
    assert response.headers.get("content-type") == "application/problem+json"
    detail: str = told["detail"]
    return detail


async def test_every_answer_is_kept_by_nobody_and_run_by_no_page() -> None:
    for target in ("/api/v1/pools", "/nowhere"):
        response, _ = await ask("GET", target)
        assert response.headers.get("cache-control") == "no-store"
        assert response.headers.get("x-content-type-options") == "nosniff"
        assert "default-src 'none'" in response.headers.get("content-security-policy")


async def test_a_query_reaches_the_gateway() -> None:
    control = FakeControl()
    target = "/api/v1/sessions?client=10.0.0.1&label.user=ann&label.tenant=&limit=5"
    await ask("GET", target, control=control)
    labels = {"user": "ann", "tenant": ""}
    assert control.asked == [{"client": "10.0.0.1", "labels": labels, "limit": 5}]


BAD_QUERIES = [
    *("limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "cliemt=x", "after=a-1", "labels=x"),
    *("client=", "client=" + "x" * 1001, "&".join(f"label.{number}=x" for number in range(101))),
]


@pytest.mark.parametrize("query", BAD_QUERIES)
async def test_a_query_that_is_not_as_it_should_be_is_refused(query: str) -> None:
    assert await refused(400, "GET", f"/api/v1/sessions?{query}")


async def test_sessions_are_closed_by_id_and_by_what_they_have() -> None:
    control = FakeControl()
    _, one = await ask("POST", "/api/v1/sessions/a-1/close", {"code": 4000.0}, control=control)
    body = {"labels": {"user": "ann"}, "reason": "bye"}
    _, some = await ask("POST", "/api/v1/sessions/close", body, control=control)
    assert one == some == {"closed": 1}
    assert control.asked == [
        ({"ids": ["a-1"]}, 4000, "closed by an operator"),
        ({"labels": {"user": "ann"}}, 1001, "bye"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        *({}, {"code": 1000}, {"ids": []}, {"client": ""}, {"client": 1}, {"client": "x", "y": 1}),
        *({"client": "x", "code": 1005}, {"client": "x", "code": 1000.5}, {"labels": {}}),
        *({"client": "x", "code": True}, {"client": "x", "reason": "x" * 124}, [], "x", None),
        *(b"", b"{", b"\xff", b'{"client": NaN}', b'{"client": "x", "client": "y"}'),
        *(b'{"client": "\\ud800"}', b"[" * 60_000, b'{"labels": ' * 5000, b"1" * 5000),
    ],
)
async def test_a_body_that_is_not_as_it_should_be_closes_nothing(body: object) -> None:
    control = FakeControl()
    body = json.dumps(body).encode() if not isinstance(body, bytes) else body
    assert await refused(400, "POST", "/api/v1/sessions/close", body, control=control)
    assert control.asked == []


async def test_a_body_that_is_too_long_is_refused() -> None:
    long = b" " * (64 * 1024) + b"{}"
    assert "65536" in await refused(413, "POST", "/api/v1/reload", long)


@pytest.mark.parametrize("code", [999, 1006, 2000, 5000])
async def test_a_code_that_cannot_be_sent_is_answered_with_those_that_can(code: int) -> None:
    body = {"client": "x", "code": code}
    detail = await refused(400, "POST", "/api/v1/sessions/close", body)
    assert f"code: {code} is none of these." in detail
    assert "1000 to 1003, 1007 to 1014, or 3000 to 4999" in detail


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded"])
async def test_no_form_of_a_page_can_change_anything(media_type: str) -> None:
    headers = {"Content-Type": media_type}
    assert "JSON" in await refused(415, "POST", "/api/v1/reload", {}, headers)


async def test_a_worker_is_replaced_by_its_number() -> None:
    _, answer = await ask("POST", "/api/v1/workers/2/replace", {})
    assert (answer["outcome"], answer["worker"], answer["moved"]) == ("replaced", 2, 3)
    for number in ("3", "x", "-1", "²", "9" * 30):
        wrong = await refused(404, "POST", f"/api/v1/workers/{number}/replace", {})
        assert wrong == "there is no worker with this number"
    assert "no such path" in await refused(404, "POST", "/api/v1/workers//replace", {})


async def test_what_is_not_open_is_not_found() -> None:
    assert await refused(404, "GET", "/api/v1/sessions/a-2")
    assert await refused(404, "POST", "/api/v1/sessions/a-2/ping", {})
    assert await refused(404, "POST", "/api/v1/sessions/gone/close", {})
    assert await refused(404, "GET", "/api/v1/sessions/")
    assert await refused(404, "GET", "/api/v1/sessions/a-1/b/c")


async def test_what_the_gateway_does_not_do_is_told() -> None:
    control = FakeControl(error=Refused("no such server"))
    url = {"url": "ws://b:1"}
    told = await refused(409, "POST", "/api/v1/servers/drain", url, control=control)
    assert told == "no such server"
    assert await refused(501, "GET", "/metrics") == "no metrics"
    assert await refused(501, "POST", "/api/v1/upgrade", {}) == "no upgrades"


async def test_a_wrong_method_is_told_which_is_right() -> None:
    response, _ = await ask("GET", "/api/v1/reload")
    assert (response.status, response.headers.get("allow")) == (405, "POST")
    response, _ = await ask("DELETE", "/api/v1/status")
    assert (response.status, response.headers.get("allow")) == (405, "GET, HEAD")


async def test_readiness_has_a_status_of_its_own() -> None:
    response, told = await ask("GET", "/readyz")
    assert (response.status, told) == (200, {"ready": True, "state": "ready"})
    response, told = await ask("GET", "/readyz", control=FakeControl(ready=False))
    assert (response.status, told) == (503, {"ready": False, "state": "draining"})


async def test_objects_are_told_by_name() -> None:
    _, told = await ask("GET", "/api/v1/objects")
    assert told == [
        {"kind": "HTTPServer", "name": "s", "backends": ["p"], "filters": []},
        {
            "kind": "Pipeline",
            "name": "p",
            "backends": [],
            "filters": [{"kind": "Mock", "name": "m"}],
        },
    ]


async def test_the_log_tells_who_has_changed_what(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "easews")
    await ask("GET", "/api/v1/pools")
    await ask("POST", "/api/v1/sessions/close", {"labels": {"user": "ann"}, "ids": ["x", "y"]})
    await ask("POST", "/api/v1/reload", {})
    events = [getattr(it, FIELDS) for it in caplog.records if it.name == "easews.admin"]
    closing, reload = events
    assert closing["action"] == "closeSessions"
    assert (closing["client"], closing["label.user"]) == ("127.0.0.1", "ann")
    assert (closing["ids"], closing["code"], closing["closed"]) == ("x, y", 1001, 1)
    assert (reload["action"], reload["outcome"], reload["generation"]) == ("reload", "reloaded", 2)


LOCKED = AccessPolicy(TOKEN, ["gateway.example"])
SHOWN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"{TOKEN}", "Bearer é"]
)
async def test_without_the_token_nothing_is_told(given: str) -> None:
    headers = {"Authorization": given} if given else {}
    for target in ("/api/v1/status", "/api/v1/openapi.json", "/metrics", "/nowhere"):
        response, _ = await ask("GET", target, None, headers, policy=LOCKED)
        assert (response.status, response.headers.get("www-authenticate")[:6]) == (401, "Bearer")
    assert await refused(401, "POST", "/api/v1/reload", {}, headers, policy=LOCKED)
    assert await refused(401, "GET", "/api/v1/reload", None, headers, policy=LOCKED)


async def test_with_the_token_everything_is() -> None:
    for shown in (f"Bearer {TOKEN}", f"bearer  {TOKEN} "):
        response, _ = await ask(
            "GET", "/api/v1/pools", None, {"Authorization": shown}, policy=LOCKED
        )
        assert response.status == 200


async def test_health_needs_no_token() -> None:
    for target in ("/healthz", "/readyz"):
        response, _ = await ask("GET", target, policy=LOCKED)
        assert response.status == 200


@pytest.mark.parametrize(
    "host",
    [
        "gateway.example",
        "GATEWAY.example.:80",
        "localhost",
        "127.0.0.1:9901",
        "[::1]:1",
        "10.1.2.3",
    ],
)
async def test_hosts_that_no_strangers_dns_can_lead_here_are_known(host: str) -> None:
    response, _ = await ask("GET", "/api/v1/pools", None, {**SHOWN, "Host": host}, policy=LOCKED)
    assert response.status == 200


@pytest.mark.parametrize(
    "host",
    ["attacker.example", "localhost.attacker.example", "", "127.0.0.1.attacker.example", "gateway"],
)
async def test_dns_rebinding_leads_nowhere(host: str) -> None:
    headers = {**SHOWN, "Host": host}
    for target in ("/api/v1/pools", "/healthz"):
        assert await refused(421, "GET", target, None, headers, policy=LOCKED)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://attacker.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://localhost"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://attacker.example"},
    ],
)
async def test_pages_of_other_sites_get_nothing(headers: dict[str, str]) -> None:
    assert await refused(403, "POST", "/api/v1/reload", {}, headers)
    assert await refused(403, "GET", "/api/v1/status", None, headers)


async def test_our_own_page_and_programs_get_what_they_ask_for() -> None:
    own = {"Origin": "http://localhost:9901", "Sec-Fetch-Site": "same-origin"}
    for headers in (own, {"Sec-Fetch-Site": "none"}, {}):
        response, _ = await ask("GET", "/api/v1/pools", None, headers)
        assert response.status == 200


ANYTHING = {"type": "object", "properties": {}, "additionalProperties": False}


@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda it: it.encode("utf-8", "surrogatepass"))
)
def test_whatever_bytes_come_they_are_json_or_refused(body: bytes) -> None:
    try:
        found = from_body(body, ANYTHING)
    except BadInput:
        return
    assert found == json.loads(body) == {}


@given(st.text(max_size=200))
def test_whatever_query_comes_it_fits_or_is_refused(query: str) -> None:
    (sessions,) = [it for it in OPERATIONS if it.name == "sessions"]
    try:
        found = from_query(query, sessions.query or {})
    except BadInput:
        return
    assert found["limit"] in range(1, 1001)


async def test_a_tap_is_told_line_by_line() -> None:
    request = Request("GET", "/api/v1/sessions/a-1/tap", Headers([("Host", "localhost:9901")]))
    response = await Api(FakeControl(), AccessPolicy(), OPERATIONS).answer(
        Context(request, id="r-1")
    )
    assert (response.status, response.content_length) == (200, None)
    assert response.headers.get("content-type") == "application/x-ndjson"
    text = b"".join([piece async for piece in response.body])
    assert text == b'{"tapping": "a-1"}\n{"size": 1}\n'


async def test_a_tap_that_is_refused_has_not_begun() -> None:
    off = FakeControl(error=NotAvailable("it is off"))
    assert await refused(501, "GET", "/api/v1/sessions/a-1/tap", control=off) == "it is off"
    await refused(404, "GET", "/api/v1/sessions/gone/tap")


@pytest.mark.parametrize("has_token", [True, False])
def test_the_document_says_which_operations_need_the_token(has_token: bool) -> None:
    told = document(OPERATIONS, "1", has_token=has_token)
    secured = {
        operation.name
        for operation in OPERATIONS
        if "security" in told["paths"][operation.path][operation.method.lower()]
    }
    closed = {operation.name for operation in OPERATIONS if operation.access != "open"}
    assert secured == (closed if has_token else set())
    assert ("securitySchemes" in told["components"]) is has_token
    assert closed != {operation.name for operation in OPERATIONS}


def test_an_answer_of_a_type_that_json_lacks_is_a_fault_of_ours() -> None:
    with pytest.raises(TypeError, match="no JSON value is a set"):
        schema_of(list[set[str]])
