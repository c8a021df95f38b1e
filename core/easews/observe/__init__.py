"""What operators see.

logs       the format of a line, and the thread that writes it
accesslog  one line for a request, one for the end of a session
formatted  the line for a request as `accessLogFormat` has it
metrics/   what is counted and measured, for Prometheus
tracing/   requests and sessions as parts of traces, for OpenTelemetry
"""
