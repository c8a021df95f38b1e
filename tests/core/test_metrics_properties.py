"""Whatever clients and backends do, the figures agree with the log, and labels stay few."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.test_metrics import Busy, at, measured, scrape
from tests.core.test_reload import Says, config
from tests.exposition import Scrape

from easews import Ending, Traffic
from easews.observe.logs import FIELDS
from easews.observe.metrics.catalogue import code_label, status_label
from easews.observe.metrics.requests import CAUSES
from easews.testing import Running

PATHS = ("/ws", "/chat", "/long")
STATUSES = {0, 499, *map(int, HTTPStatus)}
CODES = {*map(str, range(1000, 1016)), "3xxx", "4xxx", "other"}
#: Every value that a label may have with the config of these tests.
VOCABULARY = {
    "server": {"s"},
    "route": {*PATHS, ""},
    "pipeline": {"p"},
    "by": {"client", "backend", "proxy"},
    "sender": {"client", "backend"},
    "state": {"starting", "ready", "draining", "stopping"},
    "side": {"client", "backend"},
    "code": CODES,
    "status": {*map(str, STATUSES), *(f"{number}xx" for number in range(1, 6)), "other"},
    "kind": {"handshake", "request"},
    "filter": {"", "says"},
    "cause": {*CAUSES.values(), "other", "serverError", "internalError"},
    "outcome": {"reloaded", "unchanged", "refused"},
}

_numbers = st.integers(0, 1 << 40)
_sent = st.builds(Traffic, _numbers, _numbers, st.none() | st.floats(0, 1e6))
_ends = st.builds(
    Ending,
    st.sampled_from(["client", "backend", "proxy"]),
    st.integers(-1, 70_000),
    st.text(max_size=5),
    st.floats(0, 1e9),
    _sent,
    _sent,
)
_sessions = st.lists(st.tuples(st.sampled_from(PATHS), st.none() | _ends), max_size=8)
_answers = st.lists(
    st.tuples(
        st.sampled_from([*PATHS, ""]),
        st.integers(0, 1000),
        st.sampled_from([[], [("says", "")], [("says", "serverError")]]),
        st.booleans(),
    ),
    max_size=8,
)
_tokens = st.text(st.characters(codec="latin-1"), max_size=8)
_requests = st.lists(st.tuples(_tokens, _tokens, _tokens), max_size=3)


class Logged(logging.Handler):
    """What the access log says, added up."""

    def __init__(self) -> None:
        super().__init__()
        self.sums: Counter[str] = Counter()
        self.codes: Counter[tuple[str, str]] = Counter()
        self.statuses: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = getattr(record, FIELDS)
        if record.msg == "request":
            self.statuses[status_label(fields["status"])] += 1
            return
        self.codes[fields["closed_by"], code_label(fields["code"])] += 1
        for name in ("messages_in", "bytes_in", "messages_out", "bytes_out"):
            self.sums[name] += fields[name]


@contextmanager
def reading_the_log() -> Iterator[Logged]:
    handler, logger = Logged(), logging.getLogger("easews.access")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


async def send(running: Running, method: str, target: str, field: str) -> None:
    """Whatever that is: some of it is no request at all."""
    head = f"{method} /{target} HTTP/1.1\r\nHost: h\r\nX: {field}\r\nConnection: close\r\n\r\n"
    async with await anyio.connect_tcp(*running.address) as stream:
        await stream.send(head.encode("latin-1"))
        await stream.send_eof()
        try:
            async for _ in stream:
                pass
        except anyio.BrokenResourceError:
            pass


async def run(running: Running, sessions: Any, requests: Any, logged: Logged) -> None:
    for number, (path, ending) in enumerate(sessions):
        session = Busy(str(number), path)
        running.sessions.opened(session)
        if ending is not None:
            session.sent = ending.from_client, ending.from_backend
            running.sessions.ended(session, ending)
    for request in requests:
        await send(running, *request)


def labels_of(figures: Scrape) -> Iterator[tuple[str, str]]:
    for sample in figures.samples:
        if not sample.name.startswith("easews_build"):
            yield from ((name, it) for name, it in sample.labels.items() if name != "le")


@settings(max_examples=60, deadline=None)
@given(_sessions, _answers, _requests)
def test_log_and_metrics_agree_and_labels_are_bounded(
    sessions: Any, answers: Any, requests: Any
) -> None:
    async def agree() -> None:
        text = config("one", ws="p", chat="p", long="p")
        async with measured(text, Says) as (metrics, running):
            with reading_the_log() as logged:
                await run(running, sessions, requests, logged)
                figures = await scrape(metrics)
                compare(figures, logged, len(sessions))
                for path, status, trace, upgrade in answers:
                    ctx = at(path, *trace, upgrade=upgrade, by="says" if trace else "")
                    running.gateway.on_request[0](ctx, status, 0.1)
                figures = await scrape(metrics)
        for name, value in labels_of(figures):
            assert value in VOCABULARY[name]

    anyio.run(agree)


def compare(figures: Scrape, logged: Logged, opened: int) -> None:
    closed = figures.series("easews_sessions_closed_total")
    by_end: Counter[tuple[str, str]] = Counter()
    for labels, count in closed:
        by_end[labels["by"], labels["code"]] += int(count)
    assert by_end == logged.codes
    assert figures.sum("easews_sessions_opened_total") == opened
    assert figures.sum("easews_sessions_open") == opened - logged.codes.total()
    for what in ("messages", "bytes"):
        name = f"easews_session_{what}_total"
        assert figures.sum(name, sender="client") == logged.sums[f"{what}_in"]
        assert figures.sum(name, sender="backend") == logged.sums[f"{what}_out"]
    statuses: Counter[str] = Counter()
    for labels, count in figures.series("easews_requests_total"):
        statuses[labels["status"]] += int(count)
    assert statuses == logged.statuses
    refused = sum(n for it, n in statuses.items() if it == "0" or it >= "4")
    assert figures.sum("easews_requests_refused_total") == refused
