"""A span for each request, and one for each session that is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context as Surroundings
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from ...filters import Context
from ...http.headers import Headers
from ...http.traceparent import TRACESTATE, TraceParent, set_traceparent, traceparent_of
from ...sessions import Ending, Session

#: The labels of a request and its session that say which trace has them; the log has labels.
TRACE_ID, SPAN_ID = "trace_id", "span_id"


class _Begun(NamedTuple):
    """A note of a request: its span."""

    span: trace.Span


class Tracer:
    """Its methods listen to a gateway: `begin` and `end` to requests, `session_ended` to
    sessions.
    """

    def __init__(self, spans: trace.Tracer) -> None:
        self._spans = spans

    def begin(self, ctx: Context) -> None:
        """A request is to be handled. Who it is sent to gets our span as its parent."""
        headers = ctx.request.headers
        caller = traceparent_of(headers)
        span = self._spans.start_span(
            ctx.request.method, context=_remote(caller, headers), kind=SpanKind.SERVER
        )
        own = span.get_span_context()
        sampled = own.trace_flags.sampled
        set_traceparent(headers, TraceParent(own.trace_id, own.span_id, sampled), caller)
        if sampled:
            ctx.labels[TRACE_ID] = trace.format_trace_id(own.trace_id)
            ctx.labels[SPAN_ID] = trace.format_span_id(own.span_id)
            ctx.notes.put(_Begun(span))

    def end(self, ctx: Context, status: int, seconds: float) -> None:
        """The request is over, or has opened a session. `status` is what the log has."""
        begun = ctx.notes.get(_Begun)
        if begun is None:
            return
        span, request, route = begun.span, ctx.request, ctx.route
        span.update_name(f"{request.method} {route.path}".strip())
        span.set_attributes(
            {
                "http.request.method": request.method,
                "http.response.status_code": status,
                "http.route": route.path,
                "url.path": request.target.partition("?")[0],
                "url.scheme": request.scheme,
                "client.address": request.client.host,
                "easews.request.id": ctx.id,
                "easews.server": route.server,
                "easews.pipeline": route.pipeline,
                "easews.backend": ctx.backend,
            }
        )
        if status >= 500 or not status:
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def session_ended(self, session: Session, ending: Ending) -> None:
        """A session is over whose handshake had a span: that is the parent of the session's, and
        linked to it, since it has ended long ago.
        """
        opening = session.opening
        handshake = _labelled(opening.labels)
        if handshake is None:
            return
        began = int(opening.opened * 1e9)
        span = self._spans.start_span(
            f"session {opening.route.path}",
            context=_within(handshake),
            links=[trace.Link(handshake)],
            start_time=began,
            attributes={
                "http.route": opening.route.path,
                "url.path": opening.path,
                "client.address": opening.client,
                "easews.request.id": opening.id,
                "easews.server": opening.route.server,
                "easews.pipeline": opening.route.pipeline,
                "easews.backend": opening.backend,
                "easews.session.closed_by": ending.by,
                "easews.session.code": ending.code,
                "easews.session.cause": ending.cause,
                "easews.session.messages_in": ending.from_client.messages,
                "easews.session.bytes_in": ending.from_client.bytes,
                "easews.session.messages_out": ending.from_backend.messages,
                "easews.session.bytes_out": ending.from_backend.bytes,
            },
        )
        span.end(began + int(ending.duration * 1e9))


def _remote(caller: TraceParent | None, headers: Headers) -> Surroundings:
    if caller is None:
        return Surroundings()
    flags = TraceFlags(TraceFlags.SAMPLED if caller.sampled else TraceFlags.DEFAULT)
    state = TraceState.from_header(headers.get_all(TRACESTATE))
    return _within(SpanContext(caller.trace, caller.span, True, flags, state))


def _within(parent: SpanContext) -> Surroundings:
    return trace.set_span_in_context(trace.NonRecordingSpan(parent), Surroundings())


def _labelled(labels: Mapping[str, str]) -> SpanContext | None:
    """The span that `begin` has labelled a request with, if it has one and no filter has made
    something else of that.
    """
    try:
        ids = int(labels[TRACE_ID], 16), int(labels[SPAN_ID], 16)
    except (KeyError, ValueError):
        return None
    context = SpanContext(*ids, False, TraceFlags(TraceFlags.SAMPLED))
    return context if context.is_valid else None
