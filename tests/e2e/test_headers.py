"""Filters for headers in front of a real backend, with real clients: a library, and a browser."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from tests.certificates import Authority
from tests.e2e.gateway import LOOPBACK, PATIENCE, Route, config, free_port, running
from tests.e2e.library import connect
from websockets.sync.server import ServerConnection, serve

ADAPTED = [
    {
        "kind": "RequestAdaptor",
        "name": "request",
        "path": {"trimPrefix": "/chat"},
        "header": {
            "set": {"X-Client": "{{Certificate.sans}}", "X-Tenant": "{{Query.tenant}}"},
            "del": ["X-Secret"],
        },
    },
    {"kind": "ResponseAdaptor", "name": "answer", "header": {"set": {"X-Id": "{{RequestID}}"}}},
]
#: What the page does: two requests that a browser asks about first, and one that it need not.
PAGE = """<!doctype html><title>page</title><pre id=seen></pre><script>
const api = location.hash.slice(1);
const ask = (path, options) => fetch(api + path, options)
  .then(async (it) => `${it.status} ${it.headers.get("x-shown")} ${await it.text()}`)
  .catch(() => "refused");
const json = {"Content-Type": "application/json"};
(async () => {
  const seen = {
    simple: await ask("/open"),
    asked: await ask("/open", {method: "PUT", headers: json, body: "{}"}),
    header: await ask("/open", {headers: {"X-Other": "1"}}),
    method: await ask("/open", {method: "DELETE"}),
    foreign: await ask("/closed"),
  };
  document.getElementById("seen").textContent = JSON.stringify(seen);
})();
</script>"""


@contextmanager
def telling_backend() -> Iterator[str]:
    """The URL of a backend that sends the head of each handshake as it got it."""

    def tell(ws: ServerConnection) -> None:
        assert ws.request is not None
        ws.send(json.dumps([ws.request.path, *ws.request.headers.raw_items()]))

    with serve(tell, LOOPBACK, 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://{LOOPBACK}:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join(PATIENCE)


def test_a_backend_is_told_whose_certificate_it_is(loop: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    fields = {**authority.fields("localhost", file="own"), "caCertFile": str(authority.file)}
    certificate, key = authority.issue("alice.example", file="alice")
    context = ssl.create_default_context(cafile=str(authority.file))
    context.load_cert_chain(certificate, key)
    forged = {"X-Client": "CN=admin", "X_Client": "CN=admin", "X-Secret": "1"}
    with telling_backend() as url:
        proxy = {"kind": "WebSocketProxy", "name": "proxy", "pools": [{"servers": [{"url": url}]}]}
        route = Route("/chat", [*ADAPTED, proxy], path_fields={"clientMaxBodySize": -1})
        line = "{{Certificate.sans}} {{URI}} {{StatusCode}} {{RespHeader.X-Id}}"
        text = config(free_port(), route, accessLogFormat=line, **fields)
        with running(text, tmp_path, "--backend", loop) as gateway:
            address = gateway.wss("/chat/room%201?tenant=blue&token=secret")
            with connect(address, ssl=context, additional_headers=forged) as ws:
                path, *pairs = json.loads(ws.recv(PATIENCE))
                answer = ws.response
            assert answer is not None
            shown = answer.headers["X-Id"]
            gateway.log.wait_for(f"DNS:alice.example /chat/room%201?tenant=&token= 101 {shown}")
    ours = re.compile("(?i)x[-_](client|tenant|secret)")
    assert path == "/room%201?tenant=blue&token=secret"
    assert [pair for pair in pairs if ours.fullmatch(pair[0])] == [
        ["X-Client", "DNS:alice.example"],
        ["X-Tenant", "blue"],
    ]


def test_a_browser_shows_a_page_what_it_may_see(chromium: str, loop: str, tmp_path: Path) -> None:
    html = {"Content-Type": "text/html"}
    page = Route("/page", [mock(PAGE, html)])
    port = free_port()
    with running(config(port, page), tmp_path, "--backend", loop) as pages:
        folder = tmp_path / "api"
        folder.mkdir()
        routes = (
            Route("/open", [cors(f"http://{LOOPBACK}:{port}"), mock("hello", {"X-Shown": "1"})]),
            Route("/closed", [cors("https://other.example"), mock("hello", {})]),
        )
        with running(config(free_port(), *routes), folder, "--backend", loop) as api:
            command = [
                *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
                *(f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=20000"),
                f"{pages.http('/page')}#{api.http('')}",
            ]
            run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    found = re.search("<pre id=.seen.>(.*)</pre>", run.stdout)
    assert found, run.stdout + run.stderr
    assert json.loads(found[1]) == {
        "simple": "200 1 hello",
        "asked": "200 1 hello",
        "header": "refused",
        "method": "refused",
        "foreign": "refused",
    }


def mock(body: str, headers: dict[str, str]) -> dict[str, object]:
    return {
        "kind": "Mock",
        "name": "mock",
        "rules": [{"code": 200, "headers": headers, "body": body.replace("$", "$$")}],
    }


def cors(origin: str) -> dict[str, object]:
    return {
        "kind": "CORSAdaptor",
        "name": "cors",
        "allowedOrigins": [origin],
        "allowedMethods": ["GET", "PUT"],
        "exposedHeaders": ["X-Shown"],
        "supportCORSRequest": True,
    }
