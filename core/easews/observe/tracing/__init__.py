"""Requests and sessions as parts of traces, for those who trace with OpenTelemetry.

tracer  Tracer: a span for each request, and one for each session that is over
export  where spans go, as the config or the environment has it

Both import packages that come with the extra `easews[otel]`, so only those import them that trace.
"""
