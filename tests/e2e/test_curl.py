"""What a plain HTTP client is told, with curl as the client."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.e2e.gateway import Gateway
from tests.e2e.raw import Head


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
