"""Requests and sessions as spans."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind, StatusCode, TraceState
from tests.core.test_reload import OPEN, Says, config, end_session

from easews import Context, Ending, Traffic
from easews.config.model import Tracing
from easews.http.traceparent import traceparent_of
from easews.observe.tracing.export import exporter_for, provider_for
from easews.operate.stopping import GRACE
from easews.operate.tracing import (
    FLUSH_SECONDS,
    NoTracing,
    _logged_by_us,
    traced,
    tracing,
    wanted_tracing,
)
from easews.testing import Running, gateway, load_config

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = f"traceparent: 00-{TRACE}-{SPAN}-01"
GATEWAY = "\n---\n{kind: Gateway, name: g, tracing: "


class Sees(Says):
    """Keeps the headers of requests, which a proxy would send on."""

    kind = "Sees"
    seen: list[Context]

    async def handle(self, ctx: Context) -> None:
        type(self).seen.append(ctx)
        await super().handle(ctx)
        if "fail" in ctx.request.target:
            raise ValueError("fails")


@pytest.fixture(autouse=True)
def nothing_seen() -> Iterator[None]:
    Sees.seen = []
    yield
    for connection, _ in OPEN:
        connection.wire.close()
    OPEN.clear()


@asynccontextmanager
async def tracing_gateway(
    root: Any = ALWAYS_ON,
) -> AsyncIterator[tuple[Running, InMemorySpanExporter]]:
    spans = InMemorySpanExporter()
    provider = TracerProvider(sampler=ParentBased(root), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    text = config("one").replace("kind: Says", "kind: Sees")
    async with gateway(text, Sees) as running:
        with traced(running.gateway, provider):
            yield running, spans
    provider.shutdown()


async def ask(running: Running, *fields: str, path: str = "/ws") -> None:
    lines = [f"GET {path} HTTP/1.1", "Host: h", *fields]
    if not any(field.startswith("Upgrade") for field in fields):
        lines.append("Connection: close")
    async with await anyio.connect_tcp(*running.address) as stream:
        await stream.send("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
        while b"\r\n\r\n" not in await stream.receive():
            pass


def only(spans: InMemorySpanExporter) -> ReadableSpan:
    (span,) = spans.get_finished_spans()
    return span


def numbers(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


async def test_a_request_is_a_span_below_its_caller_and_above_the_backend() -> None:
    async with tracing_gateway() as (running, spans):
        await ask(running, CALLER, "tracestate: a=1", path="/ws?token=secret")
        span, (ctx,) = only(spans), Sees.seen
        trace, own = numbers(span)
        assert span.parent is not None
        assert (trace, span.parent.span_id) == (int(TRACE, 16), int(SPAN, 16))
        assert span.kind is SpanKind.SERVER
        assert span.name == "GET /ws"
        assert span.attributes is not None
        assert span.attributes["http.response.status_code"] == 200
        assert span.attributes["easews.request.id"] == ctx.id
        assert "secret" not in str(span.to_json())
        onward = traceparent_of(ctx.request.headers)
        assert onward is not None
        assert (onward.trace, onward.span, onward.sampled) == (trace, own, True)
        assert ctx.request.headers.get_all("tracestate") == ["a=1"]


@pytest.mark.parametrize("field", ["traceparent: junk", f"traceparent: 00-{TRACE}-{SPAN}-01-more"])
async def test_a_malformed_caller_is_replaced_by_a_new_trace(field: str) -> None:
    async with tracing_gateway() as (running, spans):
        await ask(running, field, "tracestate: a=1")
        span, (ctx,) = only(spans), Sees.seen
        assert span.parent is None
        onward = traceparent_of(ctx.request.headers)
        assert onward is not None
        assert (onward.trace, onward.span) == numbers(span)
        assert "tracestate" not in ctx.request.headers


async def test_what_is_not_recorded_is_passed_on_as_such() -> None:
    async with tracing_gateway(ALWAYS_OFF) as (running, spans):
        await ask(running, f"traceparent: 00-{TRACE}-{SPAN}-00")
        await ask(running)
        assert spans.get_finished_spans() == ()
        callers = [traceparent_of(ctx.request.headers) for ctx in Sees.seen]
        assert [caller is not None and caller.sampled for caller in callers] == [False, False]
        assert callers[0] is not None
        assert callers[0].trace == int(TRACE, 16)
        assert not Sees.seen[0].labels


async def test_the_caller_decides_whether_its_trace_is_recorded() -> None:
    async with tracing_gateway(ALWAYS_OFF) as (running, spans):
        await ask(running, CALLER)
        assert numbers(only(spans))[0] == int(TRACE, 16)


async def test_a_failed_request_is_an_error() -> None:
    async with tracing_gateway() as (running, spans):
        await ask(running, path="/ws?fail")
        await ask(running, path="/nowhere")
        failed, lost = spans.get_finished_spans()
        assert failed.status.status_code is StatusCode.ERROR
        assert lost.status.status_code is StatusCode.UNSET
        assert lost.name == "GET"


async def test_a_session_is_a_span_linked_to_that_of_its_handshake(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "easews.access")
    async with tracing_gateway() as (running, spans):
        await ask(running, CALLER, "Connection: Upgrade", "Upgrade: x")
        while not OPEN:  # noqa: ASYNC110 - the filter has no event
            await anyio.sleep(0.01)
        connection, _ = OPEN.pop()
        sent = Traffic(3, 300), Traffic(5, 500)
        connection.wire.close()
        connection.over(Ending("backend", 4001, "closed", 90.0, *sent))
        handshake, session = spans.get_finished_spans()
        assert [link.context.span_id for link in session.links] == [numbers(handshake)[1]]
        assert numbers(session)[0] == int(TRACE, 16)
        assert session.name == "session /ws"
        assert session.start_time is not None
        assert session.end_time is not None
        assert session.end_time - session.start_time == 90 * 10**9
        assert session.attributes is not None
        told = {key: session.attributes[f"easews.session.{key}"] for key in ("closed_by", "code")}
        assert told == {"closed_by": "backend", "code": 4001}
        counts = [session.attributes[f"easews.session.{key}_out"] for key in ("messages", "bytes")]
        assert counts == [5, 500]
    fields: list[Mapping[str, Any]] = [vars(record)["easews_fields"] for record in caplog.records]
    assert [it["label.trace_id"] for it in fields] == [TRACE] * 2


async def test_a_label_that_a_filter_has_taken_ends_the_trace_and_nothing_else() -> None:
    async with tracing_gateway() as (running, spans):
        await ask(running, "Connection: Upgrade", "Upgrade: x")
        while not OPEN:  # noqa: ASYNC110 - the filter has no event
            await anyio.sleep(0.01)
        labels: Any = OPEN[0][0].opening.labels
        labels["trace_id"] = "mine"
        end_session()
        assert len(spans.get_finished_spans()) == 1


async def test_without_tracing_nobody_listens_and_headers_stay() -> None:
    async with gateway(config("one").replace("kind: Says", "kind: Sees"), Sees) as running:
        async with tracing(running.gateway):
            assert not running.gateway.on_begin
            await ask(running, "traceparent: junk", "tracestate: a=1")
        (ctx,) = Sees.seen
        assert ctx.request.headers.get_all("traceparent") == ["junk"]
        assert ctx.request.headers.get_all("tracestate") == ["a=1"]


def test_the_config_or_the_environment_turns_it_on() -> None:
    spec = Tracing("http://c/v1/traces")
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}
    assert wanted_tracing(None, {}) is None
    assert wanted_tracing(spec, {}) == spec
    assert wanted_tracing(None, endpoint) == Tracing()
    assert wanted_tracing(spec, {"OTEL_SDK_DISABLED": "True"}) is None
    assert wanted_tracing(None, {**endpoint, "OTEL_TRACES_EXPORTER": "none"}) is None


def no_exporter(name: str) -> None:
    return None


def no_package(name: str) -> None:
    raise ModuleNotFoundError(name)


@pytest.mark.parametrize("missing", [no_exporter, no_package])
def test_what_is_not_installed_is_missed_where_the_config_asks_for_it(
    missing: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("easews.operate.tracing.find_spec", missing)
    with pytest.raises(NoTracing, match="pip install opentelemetry-sdk"):
        wanted_tracing(Tracing(), {})
    assert wanted_tracing(None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}) is None
    assert "pip install" in caplog.text


def test_who_measures_and_traces_nothing_loads_nothing_for_it() -> None:
    loaded = "[it for it in sys.modules if it.startswith(('prometheus_client', 'opentelemetry'))]"
    program = f"import sys, easews.operate.process, easews.cli.run; print({loaded})"
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_config_says_where_and_how_much() -> None:
    text = config("one") + GATEWAY + "{endpoint: 'http://c:4318/v1/traces', sampleRatio: 0.5}}"
    assert load_config(text, Says).gateway.tracing == Tracing("http://c:4318/v1/traces", 0.5)
    assert load_config(config("one") + GATEWAY + "{}}", Says).gateway.tracing == Tracing()
    assert load_config(config("one"), Says).gateway.tracing is None


def test_the_service_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def name(service_name: str = "") -> object:
        provider = provider_for(exporter_for("http://127.0.0.1:1"), 1.0, service_name)
        provider.shutdown()
        return provider.resource.attributes["service.name"]

    assert name() == "easews"
    assert name("edge") == "edge"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    assert name() == "mine"


def test_what_clients_write_into_tracestate_is_no_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with _logged_by_us():
        TraceState.from_header(["=", "a=1,a=2"])
        logging.getLogger("opentelemetry.sdk").warning("no collector")
    assert caplog.messages == ["tracing: no collector"]


def test_the_last_spans_are_given_up_before_the_process_is_ended_by_force() -> None:
    assert FLUSH_SECONDS <= GRACE / 2
