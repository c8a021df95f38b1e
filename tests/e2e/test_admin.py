"""The admin interface of a process, as scripts and curl use it."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.gateway import LOOPBACK, PATIENCE, Gateway, config, free_port, proxied, running
from tests.e2e.library import LibraryBackend, connect
from websockets.exceptions import ConnectionClosed

from easews.admin.site import MOST

TOKEN = "an-admin-token-4711"


def text(backend: LibraryBackend, **admin: Any) -> str:
    fields = ", ".join(f"{name}: '{value}'" for name, value in admin.items() if value)
    gateway = f"---\n{{kind: Gateway, name: g, admin: {{{fields}}}}}"
    return config(free_port(), proxied("/echo", backend.url)) + gateway


@contextmanager
def administered(
    loop: str, backend: LibraryBackend, folder: Path, *options: str, **admin: Any
) -> Iterator[tuple[Gateway, httpx.Client]]:
    """A gateway with the admin interface on a port of its own, and a client of that."""
    (folder / "admin.token").write_text(TOKEN + "\n")
    (folder / "admin.token").chmod(0o600)
    fields = {"address": f"{LOOPBACK}:0", "tokenFile": "admin.token", **admin}
    with running(text(backend, **fields), folder, "--backend", loop, *options) as gateway:
        url = gateway.admin_url()
        shown = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=url, headers=shown, timeout=PATIENCE) as client:
            yield gateway, client


def idle_at(address: str, stack: ExitStack, begun: bytes) -> socket.socket:
    """A connection on which nothing but this is sent."""
    host, _, port = address.rpartition(":")
    is_unix = host == "unix"
    sock = stack.enter_context(socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET))
    sock.settimeout(PATIENCE)
    sock.connect(port if is_unix else (host, int(port)))
    sock.sendall(begun)
    return sock


@pytest.mark.parametrize("begun", [b"", b"GET /healthz HTTP/1.1\r\n"])
@pytest.mark.parametrize("is_unix", [False, True])
def test_idle_connections_keep_nobody_out(
    loop: str, backend: LibraryBackend, tmp_path: Path, is_unix: bool, begun: bytes
) -> None:
    address = f"unix:/tmp/easews-{os.getpid()}-{loop}.sock" if is_unix else f"{LOOPBACK}:0"
    options = ("--backend", loop, "--admin", address)
    with running(text(backend), tmp_path, *options) as gateway, ExitStack() as stack:
        where = gateway.admin_url().removeprefix("http://")
        first, *_ = [idle_at(where, stack, begun) for _ in range(MOST + 20)]
        assert not first.recv(1000)  # long before its time is over
        newest = idle_at(where, stack, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert newest.recv(1000).startswith(b"HTTP/1.1 200")


def test_sessions_are_listed_pinged_and_closed(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with (
        administered(loop, own_backend, tmp_path) as (gateway, admin),
        connect(gateway.ws("/echo/1")) as one,
        connect(gateway.ws("/echo/2")) as other,
    ):
        one.send("hello")
        assert one.recv(PATIENCE) == "hello"
        page = admin.get("/api/v1/sessions", params={"path": "/echo/1"}).json()
        (state,) = page["sessions"]
        assert (page["total"], state["messages_in"], state["messages_out"]) == (1, 1, 1)
        assert admin.get("/api/v1/status").json()["sessions"] == 2

        at = f"/api/v1/sessions/{state['id']}"
        assert admin.post(f"{at}/ping", json={}).json() == {"pinged": True}
        closed = admin.post(f"{at}/close", json={"code": 4000, "reason": "bye"})
        assert closed.json() == {"closed": 1}
        with pytest.raises(ConnectionClosed) as ending:
            one.recv(PATIENCE)
        assert ending.value.rcvd is not None
        assert (ending.value.rcvd.code, ending.value.rcvd.reason) == (4000, "bye")
        gateway.log.wait_for("INFO admin", "action=closeSession", f"session={state['id']}")

        told = admin.post("/api/v1/sessions/close", json={"route": "/echo"}).json()
        assert told["closed"] >= 1
        with pytest.raises(ConnectionClosed):
            other.recv(PATIENCE)
        assert not gateway.log.having("INFO request", "/api/v1")


def test_a_reload_is_asked_for_and_its_result_told(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with administered(loop, own_backend, tmp_path) as (_, admin):
        file = tmp_path / "config.yaml"
        before = file.read_text()
        assert admin.post("/api/v1/reload", json={}).json()["outcome"] == "unchanged"
        file.write_text(before.replace("clientMaxBodySize", "clientMaxBodySise"))
        told = admin.post("/api/v1/reload", json={}).json()
        assert (told["outcome"], told["generation"]) == ("refused", 1)
        assert "clientMaxBodySise" in told["problems"][0]
        file.write_text(before.replace("admin: {", "drain: {window: 1s}, admin: {tap: 'off', "))
        told = admin.post("/api/v1/reload", json={}).json()
        assert (told["outcome"], told["generation"]) == ("reloaded", 2)
        assert told["changes"] == [
            "gateway: drain changed",
            "gateway: admin.tap changed",
        ]


def test_health_needs_no_token_and_all_else_does(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with administered(loop, own_backend, tmp_path) as (_, admin):
        del admin.headers["Authorization"]
        assert admin.get("/healthz").status_code == 200
        assert admin.get("/readyz").json() == {"ready": True, "state": "ready"}
        refused = admin.get("/api/v1/sessions")
        assert refused.status_code == 401
        assert refused.headers["content-type"] == "application/problem+json"
        assert admin.get("/metrics").status_code == 401


def test_a_unix_socket_is_for_its_own_user(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    path = tmp_path / "admin.sock"
    with running(
        text(own_backend), tmp_path, "--backend", loop, "--admin", f"unix:{path}"
    ) as gateway:
        gateway.out.wait_for(f"admin listens on unix:{path}")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as admin:
            assert admin.get("http://localhost/api/v1/pools").json()[0]["filter"] == "proxy"
    assert not path.exists()


def test_no_secret_is_told(
    loop: str, own_backend: LibraryBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = [TOKEN, "literal-4711-secret", "variable-4712-secret", "sticky-4713-secret"]
    monkeypatch.setenv("ROOM", secrets[2])
    stamp = {"X-Api-Key": secrets[1], "X-Room": "${ROOM}"}
    sticky = {"stickySession": {"mode": "DurationBased", "secret": secrets[3]}}
    route = proxied("/secret", own_backend.url, loadBalance=sticky)
    adaptor = {"kind": "RequestAdaptor", "name": "stamp", "header": {"set": stamp}}
    route = replace(route, filters=[adaptor, *route.filters])
    text = config(free_port(), route)
    text += f"---\n{{kind: Gateway, name: g, admin: {{address: '{LOOPBACK}:0', token: {TOKEN}}}}}"
    with running(text, tmp_path, "--backend", loop) as gateway:
        url = gateway.admin_url()
        shown = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=url, headers=shown, timeout=PATIENCE) as admin:
            (tmp_path / "config.yaml").write_text(text.replace("stamp", "stemp", 1))
            answers = [admin.post("/api/v1/reload", json={}).text]
            (tmp_path / "config.yaml").write_text(text.replace("secret: ", "secrat: "))
            answers.append(admin.post("/api/v1/reload", json={}).text)
            names = ("config", "objects", "pools", "sessions", "status", "openapi.json")
            answers += [admin.get(f"/api/v1/{name}").text for name in names]
            answers += [admin.get("/metrics").text, admin.get("/").text]
        gateway.terminate()
        gateway.wait()
        answers += [gateway.log.all(), gateway.out.all()]
    assert '"X-Room": "***"' in answers[2]
    assert not [(secret, it) for it in answers for secret in secrets if secret in it]


def test_clients_that_send_nothing_hurt_nobody(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with administered(loop, own_backend, tmp_path) as (gateway, admin), ExitStack() as idle:
        for _ in range(50):
            slow = idle.enter_context(
                socket.create_connection((LOOPBACK, admin.base_url.port), PATIENCE)
            )
            slow.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: loc")
        with connect(gateway.ws("/echo")) as ws:
            ws.send("hello")
            assert ws.recv(PATIENCE) == "hello"
            assert admin.get("/api/v1/status").json()["sessions"] == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "cannot be read"), ("short", "no token of 16"), ("\xff" * 20, "no token of 16")],
)
def test_a_token_file_without_a_token_is_told(
    own_backend: LibraryBackend, tmp_path: Path, content: str | None, told: str
) -> None:
    if content is not None:
        (tmp_path / "admin.token").write_text(content, "latin-1")
    file = tmp_path / "config.yaml"
    file.write_text(text(own_backend, address=f"{LOOPBACK}:0", tokenFile="admin.token"))
    gateway = Gateway(file)
    try:
        assert gateway.wait() == 1
        assert told in gateway.log.all()
    finally:
        gateway.close()


def test_a_token_that_everybody_may_read_is_warned_of(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    token = tmp_path / "open.token"
    token.write_text(TOKEN)
    token.chmod(0o644)
    with administered(loop, own_backend, tmp_path, tokenFile="open.token") as (gateway, _):
        gateway.log.wait_for("WARNING", "everybody may read", "open.token")


def test_an_address_in_use_is_told_with_its_place(
    own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        file = tmp_path / "config.yaml"
        file.write_text(text(own_backend, address=f"{LOOPBACK}:{port}"))
        gateway = Gateway(file)
        try:
            assert gateway.wait() == 1
            log = gateway.log.all()
            assert f"admin cannot listen on {LOOPBACK}:{port}" in log
            assert "config.yaml:" in log
            assert "choose another port" in log
        finally:
            gateway.close()


@pytest.mark.parametrize(
    ("address", "told"), [("0.0.0.0:0", "there is no token"), ("127.0.0.1", "no address to listen")]
)
def test_an_address_that_will_not_do_is_a_wrong_command_line(
    own_backend: LibraryBackend, tmp_path: Path, address: str, told: str
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(config(free_port(), proxied("/echo", own_backend.url)))
    gateway = Gateway(file, "--admin", address)
    try:
        assert gateway.wait() == 2
        assert told in " ".join(gateway.log.all().replace("│", " ").split())
    finally:
        gateway.close()
