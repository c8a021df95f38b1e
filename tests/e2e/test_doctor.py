"""`easews doctor` against nginx and HAProxy that are misconfigured, libraries, and worse."""

from __future__ import annotations

import json
import os
import pty
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from tests.certificates import Authority
from tests.e2e import peers as proxies
from tests.e2e.gateway import LOOPBACK, PATIENCE, config, free_port, proxied, running
from tests.e2e.library import LibraryBackend
from tests.e2e.peers import serving
from tests.e2e.raw import accept_for
from typer.testing import CliRunner

from easews.cli import app as cli

NODE_BACKEND = Path(__file__).parent / "node" / "backend.js"
UPGRADE = (
    "proxy_http_version 1.1;",
    "proxy_set_header Upgrade $http_upgrade;",
    "proxy_set_header Connection $connection_upgrade;",
)


def examined(*arguments: str, status: int) -> Any:
    """What the command prints as JSON, once its exit status is this one."""
    result = CliRunner().invoke(cli.app, ["doctor", *arguments, "--format", "json"])
    assert result.exit_code == status, result.output
    return json.loads(result.stdout)


def problems(report: Any) -> list[tuple[str, int]]:
    """The codes of the problems, and at which hop each is."""
    return [(one["code"], one["hop"]) for one in report["findings"] if one["problem"]]


def remedy(report: Any, code: str) -> str:
    """What to change because of the finding with this code."""
    (found,) = [one for one in report["findings"] if one["code"] == code]
    return "\n".join([line for one in found["change"] for line in (one["text"], *one["lines"])])


@contextmanager
def proxy(
    name: str, config: str, backend: int, folder: Path, *changes: tuple[str, str]
) -> Iterator[str]:
    """A proxy in front of that port, with these texts of a good config replaced."""
    port = free_port()
    command = proxies.COMMANDS[name](port, backend, folder)
    file = folder / config
    text = file.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    with serving(command, port):
        yield f"ws://{LOOPBACK}:{port}"


nginx = partial(proxy, "nginx", "nginx.conf")
haproxy = partial(proxy, "haproxy", "haproxy.cfg")


Act = Callable[[socket.socket, str], None]


@contextmanager
def server(act: Act) -> Iterator[str]:
    """The URL of a server that does this with each connection and the request on it."""
    with socket.create_server((LOOPBACK, 0)) as listener:

        def serve(sock: socket.socket) -> None:
            with sock, suppress(OSError):
                got = b""
                while not got.endswith(b"\r\n\r\n"):
                    data = sock.recv(65536)
                    if not data:
                        return
                    got += data
                act(sock, got.decode("latin-1"))

        def accept() -> None:
            with suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    Thread(target=serve, args=[sock], daemon=True).start()

        accepting = Thread(target=accept)
        accepting.start()
        try:
            yield f"ws://{LOOPBACK}:{listener.getsockname()[1]}/ws"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(PATIENCE)


def switching(request: str) -> bytes:
    """A correct answer 101; a plain request gets 400."""
    fields = dict(line.split(": ", 1) for line in request.split("\r\n")[1:] if ": " in line)
    key = fields.get("Sec-WebSocket-Key")
    if key is None:
        return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_for(key)}\r\n\r\n"
    ).encode()


def test_all_is_well_with_the_websockets_library(backend: LibraryBackend) -> None:
    report = examined(
        *(f"{backend.url}/echo", "--protocol", "chat", "--send", "hello", "--expect", "hell"),
        status=0,
    )
    (hop,) = report["hops"]
    assert hop["product"].startswith("websockets (Python)")
    assert all(one["works"] for one in hop["handshakes"].values())
    assert hop["handshakes"]["browser"]["subprotocol"] == "chat"
    assert hop["session"]["reply"] == "hello"
    assert hop["session"]["code"] == 1000


def test_all_is_well_with_ws_of_node(node: str) -> None:
    with subprocess.Popen([node, str(NODE_BACKEND)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = f"ws://{LOOPBACK}:{int(process.stdout.readline())}/"
            report = examined(url, "--send", "grüße", "--expect", "grüße", status=0)
        finally:
            process.kill()
    assert report["hops"][0]["handshakes"]["browser"]["compression"]


def test_nginx_without_upgrade_is_named_with_what_to_write(
    backend: LibraryBackend, peers: None, tmp_path: Path
) -> None:
    with nginx(backend.port, tmp_path, *((line, "") for line in UPGRADE)) as url:
        report = examined(f"{url}/echo", "--via", f"{backend.url}/echo", status=1)
    assert problems(report) == [("upgrade-lost", 1)]
    assert report["findings"][0]["lostAt"] == 1
    assert "proxy_set_header Upgrade $http_upgrade;" in remedy(report, "upgrade-lost")


def test_nginx_that_passes_the_upgrade_on_over_http_1_0_is_named(
    backend: LibraryBackend, peers: None, tmp_path: Path
) -> None:
    with nginx(backend.port, tmp_path, (UPGRADE[0], "")) as url:
        report = examined(f"{url}/echo", status=1)
    assert problems(report) == [("upgrade-lost", 1)]
    assert "HTTP/1.0" in report["findings"][0]["means"]
    assert "proxy_http_version 1.1;" in remedy(report, "upgrade-lost")


def test_a_short_read_timeout_of_nginx_is_found(
    backend: LibraryBackend, peers: None, tmp_path: Path
) -> None:
    short = f"{UPGRADE[0]} proxy_read_timeout 1s;"
    with nginx(backend.port, tmp_path, (UPGRADE[0], short)) as url:
        report = examined(f"{url}/echo", f"{backend.url}/echo", "--idle", "3s", status=1)
    backend.ending()
    assert problems(report) == [("idle-closed", 1)]
    assert 0.9 < report["hops"][0]["idle"]["ended"] < 2.9
    assert "proxy_read_timeout" in remedy(report, "idle-closed")
    assert report["findings"][0]["lostAt"] == 1


def test_haproxy_that_removes_the_upgrade_is_found(
    backend: LibraryBackend, peers: None, tmp_path: Path
) -> None:
    drops = "http-request del-header Upgrade\n    http-request del-header Connection"
    change = ("default_backend behind", f"default_backend behind\n    {drops}")
    with haproxy(backend.port, tmp_path, change) as url:
        report = examined(f"{url}/echo", "--via", f"{backend.url}/echo", status=1)
    assert problems(report) == [("upgrade-lost", 1)]


def test_a_short_tunnel_timeout_of_haproxy_is_found(
    backend: LibraryBackend, peers: None, tmp_path: Path
) -> None:
    with haproxy(backend.port, tmp_path, ("timeout tunnel 60s", "timeout tunnel 1s")) as url:
        report = examined(f"{url}/echo", "--via", f"{backend.url}/echo", "--idle", "3s", status=1)
    assert problems(report) == [("idle-closed", 1)]


def test_a_server_that_is_down_is_the_cause_of_its_proxys_503(peers: None, tmp_path: Path) -> None:
    nobody = free_port()
    with haproxy(nobody, tmp_path, ("defaults", "defaults\n    retries 0")) as url:
        report = examined(f"{url}/x", "--via", f"ws://{LOOPBACK}:{nobody}/x", status=1)
    assert problems(report) == [("unreachable", 2), ("unavailable", 1)]
    assert report["findings"][1]["follows"] == 2
    assert report["hops"][0]["product"] == "HAProxy"


def test_an_origin_that_easews_refuses_is_named(
    loop: str, backend: LibraryBackend, tmp_path: Path
) -> None:
    text = config(free_port(), proxied("/echo", backend.url))
    with running(text, tmp_path, "--backend", loop) as gateway:
        foreign = ("--origin", "https://app.example")
        report = examined(gateway.ws("/echo"), *foreign, status=1)
        allowed = examined(gateway.ws("/echo"), status=0)
    assert problems(report) == [("origin-refused", 1)]
    assert report["hops"][0]["product"] == "easews"
    assert "originPatterns" in remedy(report, "origin-refused")
    assert "any-origin" not in [one["code"] for one in allowed["findings"]]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/refuse/302", "redirected"),
        ("/refuse/401", "unauthorized"),
        ("/refuse/403", "forbidden"),
        ("/refuse/404", "not-found"),
        ("/refuse/500", "refused"),
        ("/refuse/502", "bad-gateway"),
        ("/refuse/503", "unavailable"),
        ("/refuse/504", "gateway-timeout"),
        ("/refuse/200", "no-websocket-here"),
        ("/close?code=1008", "closed-at-once"),
        ("/vanish", "closed-at-once"),
    ],
)
def test_each_refusal_has_its_cause(path: str, code: str) -> None:
    own = LibraryBackend()
    try:
        assert problems(examined(f"{own.url}{path}", status=1)) == [(code, 1)]
    finally:
        own.close()


def answers(data: bytes) -> Act:
    return lambda sock, _: sock.sendall(data)


def hangs(sock: socket.socket, _: str) -> None:
    sock.settimeout(PATIENCE)
    while sock.recv(65536):
        pass


def resets(sock: socket.socket, _: str) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def swallows(sock: socket.socket, request: str) -> None:
    sock.sendall(switching(request))
    hangs(sock, request)


def accepts_with_another_key(sock: socket.socket, request: str) -> None:
    sock.sendall(switching(request.replace("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: x")))
    hangs(sock, request)


def sends_no_frames(sock: socket.socket, request: str) -> None:
    sock.sendall(switching(request) + b"<html>hello</html>")
    hangs(sock, request)


def has_http_only_for_pages(sock: socket.socket, request: str) -> None:
    if "Upgrade" not in request:
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


def refuses_compression(sock: socket.socket, request: str) -> None:
    if "Extensions" in request:
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    else:
        sock.sendall(switching(request))


@pytest.mark.parametrize(
    ("act", "codes"),
    [
        (answers(b"220 mail.example ESMTP\r\n\r\n"), ["not-http"]),
        (answers(b"\x15\x03\x03\x00\x02\x02\x46"), ["not-http"]),
        (answers(b"HTTP/1.1 200 OK\r\nServer: ng"), ["not-http"]),
        (answers(b""), ["handshake-closed"]),
        (hangs, ["no-answer"]),
        (resets, ["handshake-reset"]),
        (swallows, ["ping-unanswered", "close-unanswered"]),
        (accepts_with_another_key, ["answer-accept"]),
        (sends_no_frames, ["not-frames"]),
        (has_http_only_for_pages, ["handshake-closed"]),
        (refuses_compression, ["deflate-refused"]),
    ],
)
def test_a_strange_server_does_not_confuse_it(act: Act, codes: list[str]) -> None:
    with server(act) as url:
        report = examined(url, "--timeout", "500ms", status=1)
    assert [code for code, _ in problems(report)] == codes


def test_a_port_that_nobody_has_is_told() -> None:
    report = examined(f"ws://{LOOPBACK}:{free_port()}/", status=1)
    assert problems(report) == [("unreachable", 1)]
    assert report["findings"][0]["seen"] == f"{LOOPBACK}: Connection refused"


def over_tls(authority: Authority, *names: str, **dates: datetime) -> LibraryBackend:
    certificate, key = authority.issue(*names, file=names[0], **dates)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return LibraryBackend(context)


@pytest.mark.parametrize(
    ("name", "days", "trusted", "codes"),
    [
        (LOOPBACK, 90, True, []),
        (LOOPBACK, 90, False, ["tls-untrusted"]),
        ("other.example", 90, True, ["tls-name"]),
        (LOOPBACK, -1, True, ["tls-expired"]),
        (LOOPBACK, 2, True, ["tls-expires-soon"]),
    ],
)
def test_a_certificate_is_told_in_words_and_the_rest_is_looked_at_all_the_same(
    name: str, days: int, trusted: bool, codes: list[str], tmp_path: Path
) -> None:
    authority, now = Authority(tmp_path), datetime.now(UTC)
    dates = {"not_before": now - timedelta(days=30), "not_after": now + timedelta(days=days)}
    own = over_tls(authority, name, **dates)
    try:
        trust = ["--ca", str(authority.file)] if trusted else []
        report = examined(f"{own.url}/echo", *trust, status=1 if codes else 0)
    finally:
        own.close()
    assert [code for code, _ in problems(report)] == codes
    assert report["hops"][0]["tls"]["names"] == [name]
    assert report["hops"][0]["handshakes"]["browser"]["works"]


def test_tls_and_plain_text_mixed_up_are_told(
    backend: LibraryBackend, peers: None, tmp_path: Path
) -> None:
    with nginx(backend.port, tmp_path) as url:
        report = examined(url.replace("ws:", "wss:"), status=1)
    assert problems(report) == [("tls-not-tls", 1)]


def test_a_tls_server_that_hears_plain_text_is_told(peers: None, tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue(LOOPBACK)
    secure = f"ssl; ssl_certificate {certificate}; ssl_certificate_key {key};"
    with nginx(
        free_port(), tmp_path, (";\n        location", f" {secure}\n        location")
    ) as url:
        report = examined(url, status=1)
    assert problems(report) == [("tls-expected", 1)]


def test_the_report_is_plain_in_a_pipe_and_hides_the_query(backend: LibraryBackend) -> None:
    command = [sys.executable, "-m", "easews", "doctor", f"{backend.url}/echo?token=secret"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "secret" not in done.stdout
    assert done.stdout.splitlines()[-1] == "No problem found"


def test_a_terminal_shows_colours_and_what_is_being_done() -> None:
    with server(hangs) as url:
        shown = on_a_terminal(
            [sys.executable, "-m", "easews", "doctor", url, "--timeout", "1500ms"]
        )
    assert "hop 1" in shown
    assert "(2 s)" in shown
    assert "\x1b[1;31mPROBLEM  No answer to the handshake" in shown


def on_a_terminal(command: list[str]) -> str:
    """What a program writes to a terminal until it ends."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "", "COLUMNS": "100"},
    ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # EIO is how Linux ends it
            while data := os.read(ours, 65536):
                shown += data
        os.close(ours)
        process.wait(PATIENCE)
    return shown.decode()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["chat.example"],
        ["ftp://chat.example/"],
        ["ws://user:secret@chat.example/"],
        ["ws://chat.example/", "--via", "nonsense"],
        ["ws://chat.example/", "--header", "no colon"],
        ["ws://chat.example/", "--header", "A: b\r\nC: d"],
        ["ws://chat.example/", "--idle", "soon"],
        ["ws://chat.example/", "--expect", "x"],
        ["ws://chat.example/", "--ca", "/no/such/file"],
        ["ws://chat.example/", "--protocol", "a b"],
        ["ws://chat.example/", "--origin", "a\r\nb"],
    ],
)
def test_a_wrong_command_line_has_status_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli.app, ["doctor", *arguments])
    assert result.exit_code == 2
    assert "secret" not in result.output
