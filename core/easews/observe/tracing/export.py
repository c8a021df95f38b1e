"""Where spans go, as the config or the environment of OpenTelemetry has it."""

from __future__ import annotations

import os

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

#: Seconds that a collector has to take spans.
EXPORT_TIMEOUT = 5


def exporter_for(endpoint: str) -> SpanExporter:
    """Sends spans to a collector, by OTLP over HTTP: to this URL, or where the environment says."""
    return OTLPSpanExporter(endpoint=endpoint or None, timeout=EXPORT_TIMEOUT)


def provider_for(
    exporter: SpanExporter, sample_ratio: float | None = None, service_name: str = ""
) -> TracerProvider:
    """Makes spans, and has a thread give them to `exporter`, many at a time.

    What is not given is as the environment (``OTEL_…``) has it, or as usual there.
    """
    sampler = None if sample_ratio is None else ParentBased(TraceIdRatioBased(sample_ratio))
    named = {SERVICE_NAME: service_name} if service_name else _default_name()
    provider = TracerProvider(
        sampler=sampler, resource=Resource.create(named), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _default_name() -> dict[str, str]:
    attributes = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if os.environ.get("OTEL_SERVICE_NAME") or f"{SERVICE_NAME}=" in attributes:
        return {}
    return {SERVICE_NAME: "easews"}
