"""Tracing of a gateway, where its config or the environment asks for it."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from ..config.model import Tracing
from ..errors import EasewsError
from .serving.gateway import Gateway

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log: logging.Logger = logging.getLogger("easews")

#: Seconds to wait at the end for a collector that does not take the last spans. After
#: `stopping.GRACE` the process would be ended, with a status that tells of a fault.
FLUSH_SECONDS = 1.0
_PACKAGE = "opentelemetry.exporter.otlp.proto.http"
#: The logger of those who parse headers.
_ABOUT_CLIENTS = "opentelemetry.trace.span"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class NoTracing(EasewsError):
    """The packages that tracing needs are not installed."""


def wanted_tracing(spec: Tracing | None, environ: Mapping[str, str]) -> Tracing | None:
    """How to trace, None for not at all. OpenTelemetry's variables turn it on and off, too.

    NoTracing when the config asks for it, and it is not installed.
    """
    off = environ.get("OTEL_TRACES_EXPORTER") == "none"
    if off or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if spec is None and not any(environ.get(name) for name in _ENDPOINTS):
        return None
    if _is_installed():
        return Tracing() if spec is None else spec
    how = "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
    if spec is not None:
        raise NoTracing(f"`tracing` needs packages that are not installed: {how}")
    log.warning("the environment asks for traces, but there are none without: %s", how)
    return None


def _is_installed() -> bool:
    try:
        return find_spec(_PACKAGE) is not None
    except ModuleNotFoundError:  # not even the package that it is in
        return False


@asynccontextmanager
async def tracing(gateway: Gateway) -> AsyncIterator[None]:
    """Trace what `gateway` serves while the block runs, if that is wanted.

    NoTracing when it is, and cannot be.
    """
    wanted = wanted_tracing(gateway.config.gateway.tracing, os.environ)
    if wanted is None:
        yield
        return
    from ..observe.tracing.export import exporter_for, provider_for  # takes a quarter of a second

    exporter = exporter_for(wanted.endpoint)
    provider = provider_for(exporter, wanted.sample_ratio, wanted.service_name)
    with _logged_by_us():
        try:
            with traced(gateway, provider):
                yield
        finally:
            await _flush(provider)


@contextmanager
def traced(gateway: Gateway, provider: TracerProvider) -> Iterator[None]:
    """Make spans of `provider` for what `gateway` serves while the block runs."""
    from ..observe.tracing.tracer import Tracer

    tracer = Tracer(provider.get_tracer("easews"))
    gateway.on_begin.append(tracer.begin)
    gateway.on_request.append(tracer.end)
    gateway.sessions.on_end.append(tracer.session_ended)
    try:
        yield
    finally:
        gateway.on_begin.remove(tracer.begin)
        gateway.on_request.remove(tracer.end)
        gateway.sessions.on_end.remove(tracer.session_ended)


class _Forward(logging.Handler):
    """Logs as ours what OpenTelemetry has to say, such as that a collector cannot be reached, but
    not what clients have written into `tracestate`.
    """

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != _ABOUT_CLIENTS:
            log.log(record.levelno, "tracing: %s", record.getMessage())


@contextmanager
def _logged_by_us() -> Iterator[None]:
    theirs, forward = logging.getLogger("opentelemetry"), _Forward()
    propagates, theirs.propagate = theirs.propagate, False
    theirs.addHandler(forward)
    try:
        yield
    finally:
        theirs.removeHandler(forward)
        theirs.propagate = propagates


async def _flush(provider: TracerProvider) -> None:
    """Send the last spans, unless that takes too long. It waits, so a thread does it."""
    with anyio.move_on_after(FLUSH_SECONDS, shield=True):
        await to_thread.run_sync(provider.shutdown, abandon_on_cancel=True)
