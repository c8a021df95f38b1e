"""What a plain HTTP client is told, with curl as the client."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import takewhile
from pathlib import Path
from queue import Queue
from threading import Thread

from tests.e2e.gateway import LOOPBACK, Gateway, config, free_port, proxied, running
from tests.e2e.raw import HANDSHAKE, PATIENCE, Head


def ask(curl: str, url: str, *options: str) -> tuple[Head, str]:
    """The last answer's head, and its body."""
    command = [curl, "--silent", "--show-error", "--include", "--noproxy", "*", "--max-time", "20"]
    run = subprocess.run([*command, *options, url], capture_output=True, check=True)
    text = run.stdout.decode()
    while text.startswith("HTTP/1.1 1"):  # 100 Continue
        text = text.partition("\r\n\r\n")[2]
    raw, _, body = text.partition("\r\n\r\n")
    line, *lines = raw.split("\r\n")
    pairs = (field.partition(":") for field in lines)
    return Head(line, tuple((name.lower(), value.strip()) for name, _, value in pairs)), body


def test_a_path_that_nothing_serves_is_a_404(curl: str, gateway: Gateway) -> None:
    head, body = ask(curl, gateway.http("/elsewhere"))
    assert head.status == 404
    assert head["Content-Type"].startswith("text/plain")
    assert body


def test_a_method_that_no_path_takes_is_a_405(curl: str, gateway: Gateway) -> None:
    head, _ = ask(curl, gateway.http("/get-only"), "--request", "DELETE")
    assert (head.status, head["Allow"]) == (405, "GET")


def test_a_plain_request_is_told_to_upgrade(curl: str, gateway: Gateway) -> None:
    head, body = ask(curl, gateway.http("/echo"))
    assert (head.status, head["Upgrade"], head["Connection"]) == (426, "websocket", "Upgrade")
    assert "WebSocket" in body


def test_problems_come_as_json_to_those_who_ask_for_it(curl: str, gateway: Gateway) -> None:
    accept = ("--header", "Accept: application/problem+json")
    head, body = ask(curl, gateway.http("/elsewhere"), *accept)
    assert head["Content-Type"] == "application/problem+json"
    problem = json.loads(body)
    assert problem["status"] == head.status == 404
    assert problem["title"] == "Not Found"
    assert problem["detail"]


def test_headers_that_are_too_large_are_a_431(curl: str, gateway: Gateway) -> None:
    head, _ = ask(curl, gateway.http("/echo"), "--header", "X-Big: " + "x" * 70_000)
    assert head.status == 431
    assert head["Connection"] == "close"


def test_a_body_over_the_limit_is_a_413(curl: str, gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(bytes(5 << 20))
    head, _ = ask(curl, gateway.http("/nothing"), "--data-binary", f"@{file}")
    assert head.status == 413


def test_a_pipeline_without_an_answer_is_a_503(curl: str, gateway: Gateway) -> None:
    head, body = ask(curl, gateway.http("/nothing"), "--data", "a small body")
    assert head.status == 503
    assert "Traceback" not in body


def test_a_dot_segment_is_a_400_in_any_encoding(curl: str, gateway: Gateway) -> None:
    for path in ("/a/../echo", "/a/%2e%2E/echo", "/a/.%2e/echo", "/./echo"):
        head, _ = ask(curl, gateway.http(path), "--path-as-is")
        assert head.status == 400, path


def test_a_connection_serves_one_request_after_the_other(curl: str, gateway: Gateway) -> None:
    first, second = gateway.http("/elsewhere"), gateway.http("/nothing")
    format_option = ("--write-out", "%{http_code} %{num_connects}\n", "--output", "/dev/null")
    command = [
        curl,
        "--silent",
        "--noproxy",
        "*",
        *format_option,
        first,
        *format_option[2:],
        second,
    ]
    run = subprocess.run(command, capture_output=True, check=True, text=True, timeout=20)
    assert run.stdout.split() == ["404", "1", "503", "0"]


class Refusal(BaseHTTPRequestHandler):
    """Refuses, announces a body, and sends none; its connection's end is put into the queue."""

    protocol_version = "HTTP/1.1"
    ended: Queue[bytes] = Queue()

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Bearer realm="chat"')
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.ended.put(self.rfile.read())

    def log_message(self, *_: object) -> None: ...


@contextmanager
def refusing() -> Iterator[int]:
    """The port of a backend that refuses."""
    with ThreadingHTTPServer((LOOPBACK, 0), Refusal) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_refusal_is_told_before_its_body_comes(curl: str, loop: str, tmp_path: Path) -> None:
    # What --verbose tells is not buffered.
    command = [curl, "--silent", "--verbose", "--noproxy", "*", "--max-time", "20"]
    for name, value in HANDSHAKE:
        command += ["--header", f"{name}: {value}"]
    with refusing() as port:
        text = config(free_port(), proxied("/ws", f"ws://{LOOPBACK}:{port}"), maxConnections=1)
        with running(text, tmp_path, "--backend", loop) as gateway:
            for _ in range(2):  # the only connection is free again, or the second would wait
                with subprocess.Popen(
                    [*command, gateway.http("/ws")], stderr=subprocess.PIPE, text=True
                ) as asking:
                    assert asking.stderr is not None
                    lines = list(takewhile("< \n".__ne__, asking.stderr))
                    assert asking.poll() is None  # it waits for the body
                    asking.kill()
                assert any(line.startswith("< HTTP/1.1 401 ") for line in lines)
                assert '< WWW-Authenticate: Bearer realm="chat"\n' in lines
                assert Refusal.ended.get(timeout=PATIENCE) == b""
            gateway.log.wait_for("status=499")
