"""Every metric: its name, kind, labels and meaning.

Labels are bounded by the config: each value is a name in it, the URL of a server in use, or a
word of a fixed list. What a client or a backend sends never becomes a label. Numbers that they
choose (statuses, codes of a Close) are folded: see `code_label` and `status_label`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from .histogram import Histogram

Kind = Literal["counter", "gauge", "histogram", "gaugehistogram", "info"]
#: What several processes have in common: the sum, the largest value, or each process its own.
Merge = Literal["sum", "max", "worker"]
Labels = tuple[str, ...]
#: Values of labels, and the figure.
Row = tuple[Labels, float | Histogram]
Figures = tuple["Meter", Iterable[Row]]


@dataclass(frozen=True, slots=True)
class Meter:
    """A metric.

    name    without the suffix that its kind adds, such as ``_total``
    labels  the names of its labels
    help    its meaning
    merge   how the figures of several processes become one
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    merge: Merge = "sum"

    @property
    def unit(self) -> str:
        """The unit, which is the last word of the name, or nothing."""
        last = self.name.rpartition("_")[2]
        return last if last in ("bytes", "seconds") else ""


ROUTE = ("server", "route")
POOL = ("pipeline", "filter", "pool")

BUILD = Meter(
    "easews_build", "info", ("version", "python"), "The release of easews and of Python.", "max"
)
STATE = Meter(
    "easews_state",
    "gauge",
    ("state",),
    "1 for what the gateway is at: starting, ready, draining or stopping; 0 for the others.",
)
SESSIONS_OPEN = Meter("easews_sessions_open", "gauge", ROUTE, "Open sessions.")
SESSIONS_OPENED = Meter("easews_sessions_opened", "counter", ROUTE, "Sessions that have opened.")
SESSIONS_TAKEN_OVER = Meter(
    "easews_sessions_taken_over",
    "counter",
    ROUTE,
    "Sessions that have come from the process before this one, at an upgrade.",
)
SESSIONS_CLOSED = Meter(
    "easews_sessions_closed",
    "counter",
    (*ROUTE, "by", "code"),
    "Sessions that are over, by who closed first and with which code.",
)
SESSION_DURATION = Meter(
    "easews_session_duration_seconds",
    "histogram",
    ROUTE,
    "How long the sessions were open that are over.",
)
HANDSHAKE_DURATION = Meter(
    "easews_handshake_duration_seconds",
    "histogram",
    ROUTE,
    "From the request to the answer, for handshakes that have opened a session.",
)
SESSION_MESSAGES = Meter(
    "easews_session_messages",
    "counter",
    (*ROUTE, "sender"),
    "Data messages, those of open sessions included.",
)
SESSION_BYTES = Meter(
    "easews_session_bytes",
    "counter",
    (*ROUTE, "sender"),
    "Bytes on the wire, frame headers included, those of open sessions included.",
)
SESSION_HELD = Meter(
    "easews_session_held_bytes", "gauge", ROUTE, "Bytes that are held for peers that read slowly."
)
PING_RTT = Meter(
    "easews_ping_rtt_seconds",
    "gaugehistogram",
    ("server", "side"),
    "From the last ping to its pong, for open sessions.",
)
SESSIONS_DRAINING = Meter(
    "easews_sessions_draining", "gauge", (), "Sessions that wait for their turn to be closed."
)
CONNECTIONS = Meter(
    "easews_connections", "gauge", ("server",), "Open connections, those of sessions included."
)
CONNECTIONS_MAX = Meter(
    "easews_connections_max", "gauge", ("server",), "maxConnections of the server."
)
REQUESTS = Meter(
    "easews_requests", "counter", (*ROUTE, "status"), "Requests, by the status of the answer."
)
REQUEST_DURATION = Meter(
    "easews_request_duration_seconds",
    "histogram",
    ROUTE,
    "From the request to the end of the answer, for requests that have opened no session.",
)
REQUESTS_REFUSED = Meter(
    "easews_requests_refused",
    "counter",
    (*ROUTE, "kind", "filter", "cause"),
    "Handshakes and requests with an answer of 400 or more, or without any.",
)
BACKEND_STATE = Meter(
    "easews_backend_state",
    "gauge",
    (*POOL, "backend", "state"),
    "1 for the state that a server of a pool is in, 0 for the others.",
)
BACKEND_ACTIVE = Meter(
    "easews_backend_active", "gauge", ("backend",), "Open sessions and requests of a server."
)
BACKEND_EJECTIONS = Meter(
    "easews_backend_ejections", "counter", ("backend",), "How often failures have ejected a server."
)
POOL_RETRIES = Meter(
    "easews_pool_retries", "counter", POOL, "How often another server of the pool was asked."
)
POOL_WAITING = Meter(
    "easews_pool_waiting", "gauge", POOL, "Requests that wait while every server is full."
)
HOOK_CALLS = Meter(
    "easews_hook_calls", "counter", ("pipeline", "filter"), "Messages that a filter has read."
)
HOOK_SECONDS = Meter(
    "easews_hook_seconds",
    "counter",
    ("pipeline", "filter"),
    "How long the message hook of a filter has held the event loop.",
)
HOOK_ERRORS = Meter(
    "easews_hook_errors", "counter", ("pipeline", "filter"), "How often its hooks have failed."
)
TLS_HANDSHAKES = Meter(
    "easews_tls_handshakes", "counter", ("server", "outcome"), "TLS handshakes with clients."
)
CERTIFICATE_EXPIRY = Meter(
    "easews_tls_certificate_expiry_timestamp_seconds",
    "gauge",
    ("server", "name"),
    "When a served certificate expires, in Unix time.",
    "max",
)
RELOADS = Meter("easews_reloads", "counter", ("outcome",), "Reloads of the config.", "max")
GENERATION = Meter("easews_generation", "gauge", (), "The number of the served config.", "worker")
OLDER_GENERATIONS = Meter(
    "easews_older_generations", "gauge", (), "Older configs that still have sessions.", "max"
)
LOOP_LAG = Meter(
    "easews_event_loop_lag_seconds",
    "histogram",
    (),
    "How much later than asked for a timer went off, twice a second.",
)
PROCESS_CPU = Meter(
    "easews_process_cpu_seconds", "counter", (), "User and system CPU time.", "worker"
)
PROCESS_RESIDENT = Meter(
    "easews_process_resident_memory_bytes", "gauge", (), "Resident memory.", "worker"
)
PROCESS_FDS = Meter("easews_process_open_fds", "gauge", (), "Open file descriptors.", "worker")
PROCESS_MAX_FDS = Meter(
    "easews_process_max_fds", "gauge", (), "How many file descriptors may be open.", "worker"
)
PROCESS_START = Meter(
    "easews_process_start_time_seconds",
    "gauge",
    (),
    "When the process started, in Unix time.",
    "worker",
)

#: All of them, in the order of the exposition.
METERS: tuple[Meter, ...] = tuple(it for it in list(vars().values()) if isinstance(it, Meter))

#: Codes of a Close that are registered for the protocol itself (RFC 6455 §11.7).
_PROTOCOL_CODES = range(1000, 1016)
_STATUSES = frozenset({499, *(int(status) for status in HTTPStatus)})


def code_label(code: int) -> str:
    """A registered code of a Close as it is; ``3xxx`` and ``4xxx`` for those of applications."""
    if code in _PROTOCOL_CODES:
        return str(code)
    return f"{code // 1000}xxx" if 3000 <= code < 5000 else "other"


def status_label(status: int) -> str:
    """A status of HTTP as it is; ``5xx`` and the like for one that is not registered, and ``0``
    for no answer at all.
    """
    if status in _STATUSES or status == 0:
        return str(status)
    return f"{status // 100}xx" if 100 <= status < 600 else "other"
