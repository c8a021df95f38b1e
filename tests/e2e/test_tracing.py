"""Traces through a gateway: passed on as they are, or with a part of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.e2e.gateway import LOOPBACK, PATIENCE, Gateway, config, free_port, proxied, running
from tests.e2e.library import connect
from websockets.sync.server import Server, ServerConnection, serve

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
FIELDS = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=1,b=2"}
JUNK = {"traceparent": "junk", "tracestate": "a=1"}


@contextmanager
def serving(server: Server | ThreadingHTTPServer) -> Iterator[None]:
    """It serves in a thread while the block runs."""
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def backend() -> Iterator[tuple[str, Queue[dict[str, str]]]]:
    """Echoes messages, and tells which headers of a trace each handshake had."""
    seen: Queue[dict[str, str]] = Queue()

    def echo(ws: ServerConnection) -> None:
        assert ws.request is not None
        seen.put({name: ws.request.headers.get(name, "") for name in FIELDS})
        for message in ws:
            ws.send(message)

    with serve(echo, LOOPBACK, 0) as server, serving(server):
        yield f"ws://{LOOPBACK}:{server.socket.getsockname()[1]}", seen


@contextmanager
def collector(status: int = 200) -> Iterator[tuple[str, Queue[Any]]]:
    """A receiver of OTLP over HTTP, and the spans that it got."""
    spans: Queue[Any] = Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        spans.put((resource, span))

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer((LOOPBACK, 0), Receiver) as server, serving(server):
        yield f"http://{LOOPBACK}:{server.server_port}/v1/traces", spans


def traced(text: str, endpoint: str) -> str:
    spec = {"endpoint": endpoint, "serviceName": "edge"}
    return f"{text}---\n{json.dumps({'kind': 'Gateway', 'name': 'g', 'tracing': spec})}\n"


def session(gateway: Gateway, fields: dict[str, str]) -> None:
    with connect(gateway.ws("/ws"), additional_headers=fields) as ws:
        ws.send("hello")
        assert ws.recv(PATIENCE) == "hello"


@pytest.mark.parametrize("fields", [FIELDS, JUNK])
def test_without_tracing_the_headers_of_a_trace_go_on_as_they_are(
    tmp_path: Path, fields: dict[str, str]
) -> None:
    with (
        backend() as (url, seen),
        running(config(free_port(), proxied("/ws", url)), tmp_path) as gateway,
    ):
        session(gateway, fields)
        assert seen.get(timeout=PATIENCE) == fields


def test_a_handshake_and_its_session_come_to_the_collector(tmp_path: Path) -> None:
    with backend() as (url, seen), collector() as (endpoint, spans):
        text = traced(config(free_port(), proxied("/ws", url)), endpoint)
        with running(text, tmp_path) as gateway:
            session(gateway, FIELDS)
            onward = seen.get(timeout=PATIENCE)
            line = gateway.log.wait_for(" session ", f"label.trace_id={TRACE}")
        found = {span.name: (resource, span) for resource, span in drained(spans, 2)}
        resource, handshake = found["GET /ws"]
        _, whole = found["session /ws"]
        names = {it.key: it.value.string_value for it in resource.resource.attributes}
        assert names["service.name"] == "edge"
        assert handshake.parent_span_id.hex() == SPAN
        assert onward == {**FIELDS, "traceparent": f"00-{TRACE}-{handshake.span_id.hex()}-01"}
        assert whole.trace_id.hex() == TRACE
        assert [link.span_id for link in whole.links] == [handshake.span_id]
        told = {it.key: it.value.int_value for it in whole.attributes}
        assert told["easews.session.messages_in"] == told["easews.session.messages_out"] == 1
        assert f"bytes_in={told['easews.session.bytes_in']} " in line


def test_a_malformed_trace_is_replaced(tmp_path: Path) -> None:
    with backend() as (url, seen), collector() as (endpoint, spans):
        with running(
            traced(config(free_port(), proxied("/ws", url)), endpoint), tmp_path
        ) as gateway:
            session(gateway, JUNK)
        ((_, handshake), _) = drained(spans, 2)
        own = f"00-{handshake.trace_id.hex()}-{handshake.span_id.hex()}-01"
        assert seen.get(timeout=PATIENCE) == {"traceparent": own, "tracestate": ""}


def test_a_collector_that_refuses_costs_no_session(tmp_path: Path) -> None:
    with backend() as (url, _), collector(status=400) as (endpoint, _):
        with running(
            traced(config(free_port(), proxied("/ws", url)), endpoint), tmp_path
        ) as gateway:
            session(gateway, FIELDS)
        assert "ERROR tracing: Failed to export spans" in gateway.log.all()


def test_a_collector_that_is_not_there_keeps_no_gateway_from_ending(tmp_path: Path) -> None:
    endpoint = f"http://{LOOPBACK}:{free_port()}/v1/traces"
    with backend() as (url, _):
        with running(
            traced(config(free_port(), proxied("/ws", url)), endpoint), tmp_path
        ) as gateway:
            session(gateway, FIELDS)
        assert "tracing: " in gateway.log.all()


def test_each_worker_sends_its_own_spans_also_at_a_stop(tmp_path: Path) -> None:
    with backend() as (url, _), collector() as (endpoint, spans), ExitStack() as stack:
        text = traced(config(free_port(), proxied("/ws", url)), endpoint)
        with running(text, tmp_path, "--workers", "2") as gateway:
            for _ in range(8):
                ws = stack.enter_context(connect(gateway.ws("/ws")))
                ws.send("hello")
                assert ws.recv(PATIENCE) == "hello"
        lines = [line for line in gateway.log.having(" session ") if "trace_id=" in line]
        assert {re.findall(r"worker=(\d)", line)[0] for line in lines} == {"1", "2"}
        told = sorted(re.findall(r"label\.trace_id=(\w+)", "\n".join(lines)))
        found = drained(spans, 16)
        for name in ("GET /ws", "session /ws"):
            traces = [span.trace_id.hex() for _, span in found if span.name == name]
            assert sorted(traces) == told
        assert len(told) == 8


def drained(spans: Queue[Any], count: int) -> list[Any]:
    return [spans.get(timeout=PATIENCE) for _ in range(count)]
