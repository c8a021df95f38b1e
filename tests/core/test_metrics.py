"""What a gateway has done and is doing, as a scrape shows it."""

from __future__ import annotations

import ssl
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import time
from typing import Any, get_args

import anyio
import anyio.lowlevel
import pytest
from tests.certificates import Authority
from tests.core.test_reload import OPEN, Says, ask, config, end_session, open_session
from tests.core.test_reloading import Disk
from tests.exposition import Scrape
from tests.https import HOST, Tells, asked, connected, serving, text

from easews import (
    ConfigError,
    ConnectError,
    Context,
    Ending,
    Filter,
    Message,
    Opening,
    Reads,
    Response,
    Route,
    Session,
    Traffic,
)
from easews.observe.metrics.catalogue import METERS
from easews.observe.metrics.sessions import OpenSessions, SessionCounts
from easews.operate.controlling import GatewayControl
from easews.operate.metrics import Metrics, measuring
from easews.operate.reloading import Reloader
from easews.testing import OpenSession, Running, gateway, make_context
from easews.upstream import Pool, Server, State

WAY = {"server": "s", "route": "/ws"}


class Busy(OpenSession):
    """An open session whose sides have sent something."""

    def __init__(
        self,
        id: str,
        path: str = "/ws",
        handshake: float = 0.0,
        held: int = 0,
        taken_over: bool = False,
    ) -> None:
        route = Route("s", path, "p")
        opening = Opening(id, "10.0.0.1", route, "", handshake, time(), taken_over=taken_over)
        super().__init__(opening, held)
        self.sent = Traffic(), Traffic()

    def traffic(self) -> tuple[Traffic, Traffic]:
        return self.sent

    def ending(self, by: Any = "client", code: int = 1000, duration: float = 1.0) -> Ending:
        return Ending(by, code, "closed", duration, *self.sent)


@asynccontextmanager
async def measured(
    config_text: str = "", *kinds: type[Filter]
) -> AsyncIterator[tuple[Metrics, Running]]:
    async with (
        gateway(config_text or config("one"), *(kinds or (Says,))) as running,
        measuring(running.gateway, Counter(reloaded=2)) as metrics,
    ):
        yield metrics, running


async def scrape(metrics: Metrics) -> Scrape:
    return Scrape(await metrics.expose())


async def scraped_with(metrics: Metrics, name: str, **labels: str) -> Scrape:
    """The first scrape in which this is not 0."""
    with anyio.fail_after(30):
        while not (figures := await scrape(metrics)).sum(name, **labels):  # noqa: ASYNC110 - no event
            await anyio.sleep(0.01)
    return figures


async def test_sessions_are_counted_by_route_and_by_how_they_end() -> None:
    async with measured() as (metrics, running):
        for number, (by, code) in enumerate(
            [("client", 1000), ("client", 1001), ("backend", 4123), ("proxy", 1001)]
        ):
            session = Busy(str(number), handshake=0.02)
            running.sessions.opened(session)
            running.sessions.ended(session, session.ending(by, code, 7200.0))
        running.sessions.opened(Busy("open", held=5))
        figures = await scrape(metrics)
        assert figures.sum("easews_sessions_opened_total", **WAY) == 5
        assert figures.sum("easews_sessions_open", **WAY) == 1
        assert figures.sum("easews_session_held_bytes", **WAY) == 5
        closed = figures.series("easews_sessions_closed_total", **WAY)
        assert {(it["by"], it["code"]): count for it, count in closed} == {
            ("client", "1000"): 1,
            ("client", "1001"): 1,
            ("backend", "4xxx"): 1,
            ("proxy", "1001"): 1,
        }
        handshakes = "easews_handshake_duration_seconds_bucket"
        assert figures.sum(handshakes, le="0.01", **WAY) == 1
        assert figures.sum(handshakes, le="0.025", **WAY) == 5
        assert figures.sum("easews_session_duration_seconds_bucket", le="3600.0") == 0
        assert figures.sum("easews_session_duration_seconds_bucket", le="14400.0") == 4


async def test_the_traffic_of_a_session_is_counted_while_it_is_open_and_once() -> None:
    async with measured() as (metrics, running):
        session = Busy("one")
        running.sessions.opened(session)
        session.sent = Traffic(3, 300, rtt=0.02), Traffic(1, 50)
        figures = await scrape(metrics)
        assert figures.sum("easews_session_messages_total", sender="client", **WAY) == 3
        assert figures.sum("easews_session_bytes_total", sender="backend", **WAY) == 50
        rtt = {"server": "s", "side": "client", "le": "0.025"}
        assert figures.series("easews_ping_rtt_seconds_bucket", **rtt) == [(rtt, 1)]
        running.sessions.ended(session, session.ending())
        figures = await scrape(metrics)
        assert figures.sum("easews_session_messages_total", sender="client", **WAY) == 3
        assert figures.series("easews_ping_rtt_seconds_bucket") == []


def test_a_session_that_ends_while_a_scrape_reads_counts_once() -> None:
    counts, session = SessionCounts(), Busy("one")
    session.sent = Traffic(2, 20), Traffic()
    counts.opened(session)
    present = OpenSessions(counts)
    counts.ended(session, session.ending())
    present.add(session)  # it was on the list of those that were open
    assert dict(present.sent("messages"))["s", "/ws", "client"] == 2


async def test_sessions_that_were_open_before_count() -> None:
    async with gateway(config("one"), Says) as running:
        running.sessions.opened(Busy("early"))
        async with measuring(running.gateway, {}) as metrics:
            running.sessions.opened(Busy("late"))
            assert (await scrape(metrics)).sum("easews_sessions_opened_total") == 2


async def test_a_session_that_was_taken_over_has_opened_elsewhere() -> None:
    async with measured() as (metrics, running):
        session = Busy("old", taken_over=True)
        session.sent = Traffic(100, 1000), Traffic(200, 2000)
        running.sessions.opened(session)
        session.sent = Traffic(103, 1030), Traffic(200, 2000)

        def check(figures: Scrape) -> None:
            assert figures.sum("easews_sessions_opened_total") == 0
            assert figures.sum("easews_sessions_taken_over_total", **WAY) == 1
            assert figures.sum("easews_handshake_duration_seconds_count") == 0
            assert figures.sum("easews_session_messages_total") == 3
            assert figures.sum("easews_session_bytes_total") == 30

        check(figures := await scrape(metrics))
        assert figures.sum("easews_sessions_open") == 1
        running.sessions.ended(session, session.ending())
        check(figures := await scrape(metrics))
        assert figures.sum("easews_sessions_open") == 0
        assert figures.sum("easews_sessions_closed_total") == 1


async def test_without_metrics_nobody_listens() -> None:
    async with gateway(config("one"), Says) as running:
        own = list(running.sessions.on_open), list(running.sessions.on_end)
        async with measuring(running.gateway, {}):
            assert running.gateway.on_request
        assert (running.sessions.on_open, running.sessions.on_end) == own
        assert running.gateway.on_request == []


async def test_figures_go_on_through_reloads() -> None:
    async with measured() as (metrics, running):
        stream = await open_session(running)
        assert await ask(running) == b"one"
        await running.replace(config("two"), Says)
        assert await ask(running) == b"two"
        figures = await scrape(metrics)
        assert figures.sum("easews_requests_total", status="200", **WAY) == 2
        assert figures.sum("easews_requests_total", status="101", **WAY) == 1
        assert figures.sum("easews_request_duration_seconds_count", **WAY) == 2
        assert figures.sum("easews_sessions_open", **WAY) == 1
        assert figures.sum("easews_generation") == 2
        assert figures.sum("easews_older_generations") == 1
        assert figures.sum("easews_reloads_total", outcome="reloaded") == 2
        end_session()
        await stream.aclose()
        figures = await scrape(metrics)
        assert figures.sum("easews_sessions_closed_total", code="1000", **WAY) == 1
        assert figures.sum("easews_older_generations") == 0


async def test_routes_that_no_config_has_any_more_are_forgotten_some_time() -> None:
    async with measured() as (metrics, running):
        for number in range(150):
            running.gateway.on_request[0](at(f"/gone/{number}"), 200, 0.1)
        running.gateway.on_request[0](at("/ws"), 200, 0.1)
        await scrape(metrics)
        await running.replace(config("two"), Says)
        routes = {it["route"] for it, _ in (await scrape(metrics)).series("easews_requests_total")}
        assert routes == {"/ws", *(f"/gone/{number}" for number in range(50, 150))}


def at(path: str, *trace: tuple[str, str], upgrade: bool = False, by: str = "") -> Context:
    """A request that is over."""
    headers = [("Connection", "upgrade"), ("Upgrade", "websocket")] if upgrade else []
    ctx = make_context(path, headers)
    ctx.route = Route("s", path)
    ctx.trace, ctx.step = list(trace), by
    ctx.response = Response(200)
    return ctx


@pytest.mark.parametrize(
    ("ctx", "status", "labels"),
    [
        (at("/ws"), 404, ("request", "", "notFound")),
        (at("/ws"), 0, ("request", "", "noAnswer")),
        (at("/ws"), 599, ("request", "", "other")),
        (at("/ws", ("auth", ""), upgrade=True, by="auth"), 403, ("handshake", "auth", "forbidden")),
        (at("/ws", ("auth", ""), ("proxy", "serverError"), ("fallback", ""), by="fallback"), 502,
         ("request", "proxy", "serverError")),
    ],
)  # fmt: skip
async def test_a_refusal_has_its_filter_and_cause(
    ctx: Context, status: int, labels: tuple[str, str, str]
) -> None:
    async with measured() as (metrics, running):
        running.gateway.on_request[0](ctx, status, 0.1)
        ((found, count),) = (await scrape(metrics)).series("easews_requests_refused_total")
        assert count == 1
        assert (found["kind"], found["filter"], found["cause"]) == labels


class Opens(Says):
    """Opens sessions, whose messages others read."""

    kind = "Opens"
    opens_sessions = True


class Reading(Filter):
    """Reads messages, and fails at some."""

    kind = "Reading"
    schema = Says.schema
    reads = Reads()

    async def handle(self, ctx: Context) -> None: ...

    def on_message(self, session: Session, message: Message) -> Message:
        if message.data == "bad":
            raise ValueError("bad")
        return message


async def test_the_counts_of_message_hooks_stay_when_their_config_is_gone() -> None:
    def reading(text: str) -> str:
        reads = f"filters: [{{kind: Reading, name: reads, text: {text}}}, "
        return config("one").replace("kind: Says", "kind: Opens").replace("filters: [", reads)

    async with measured(reading("a"), Opens, Reading) as (metrics, running):
        streams = []
        for number, text in enumerate("abc"):
            await running.replace(reading(text), Opens, Reading)
            streams.append(await open_session(running))
            connection, session = OPEN[number]
            assert connection.hooks is not None
            connection.hooks.message(session, Message("good", "client"))
            connection.hooks.message(session, Message("bad", "client"))
        labels = {"pipeline": "p", "filter": "reads"}
        for _ in streams:
            figures = await scrape(metrics)
            assert figures.sum("easews_hook_calls_total", **labels) == 6
            assert figures.sum("easews_hook_errors_total", **labels) == 3
            assert figures.sum("easews_hook_seconds_total", **labels) > 0
            end_session()
            await anyio.wait_all_tasks_blocked()
        for stream in streams:
            await stream.aclose()


class Balances(Filter):
    """Has a pool of two servers, of which one was ejected."""

    kind = "Balances"

    async def handle(self, ctx: Context) -> None: ...

    async def __aenter__(self) -> Balances:
        self._pool = await Pool([Server.at("ws://a"), Server.at("ws://b")]).__aenter__()
        for _ in range(6):
            attempt = self._pool.next(make_context().request)
            if attempt is not None and attempt.server.url == "ws://a":
                attempt.failed(ConnectError("refused"))
                attempt.over()
        self._pool.retried = 3
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._pool.__aexit__(*raised)


async def test_pools_and_their_servers_are_shown() -> None:
    text = config("one").replace("filters: [", "filters: [{kind: Balances, name: b}, ")
    async with measured(text, Says, Balances) as (metrics, _):
        figures = await scrape(metrics)
        pool = {"pipeline": "p", "filter": "b", "pool": "0"}
        states = figures.series("easews_backend_state", **pool)
        assert sorted((it["backend"], it["state"]) for it, value in states if value) == [
            ("ws://a", "ejected"),
            ("ws://b", "up"),
        ]
        assert len(states) == 2 * len(get_args(State))
        assert figures.sum("easews_pool_retries_total", **pool) == 3
        assert figures.sum("easews_backend_ejections_total", backend="ws://a") >= 1
        assert figures.sum("easews_backend_active", backend="ws://b") == 3


async def test_tls_handshakes_and_certificates_are_shown(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with (
        serving(**authority.fields(HOST)) as running,
        measuring(running.gateway, {}) as metrics,
    ):
        async with connected(running, authority.client()) as stream:
            await asked(stream)
        with pytest.raises(ssl.SSLError):
            async with connected(running, ssl.create_default_context()):
                pass
        figures = await scraped_with(metrics, "easews_tls_handshakes_total", outcome="failed")
        assert figures.sum("easews_tls_handshakes_total", outcome="agreed") == 1
        ((labels, expiry),) = figures.series("easews_tls_certificate_expiry_timestamp_seconds")
        (pair,) = running.gateway.tls[labels["server"]].pairs
        assert (labels["name"], expiry) == (HOST, pair.not_after.timestamp())
        changed = text(**authority.fields(HOST), tls={"minVersion": "TLSv1.3"})
        await running.replace(changed, Tells)
        figures = await scrape(metrics)
        assert figures.sum("easews_tls_handshakes_total", outcome="agreed") == 1


async def test_the_process_and_the_event_loop_are_shown() -> None:
    async with measured() as (metrics, _):
        figures = await scraped_with(metrics, "easews_event_loop_lag_seconds_count")
        for name in (
            "cpu_seconds_total",
            "resident_memory_bytes",
            "open_fds",
            "start_time_seconds",
        ):
            assert figures.sum(f"easews_process_{name}") > 0
        assert figures.sum("easews_connections_max", server="s") > 0
        assert figures.series("easews_connections", server="s") == [({"server": "s"}, 0)]


@pytest.mark.parametrize("routes", [1, 500])
async def test_a_scrape_gives_the_event_loop_its_turns(
    routes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easews.operate.metrics.SESSIONS_PER_TURN", 2000 if routes > 1 else 10)
    async with measured() as (metrics, running):
        for number in range(2000):
            running.sessions.opened(Busy(str(number), f"/{number % routes}"))
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                await anyio.lowlevel.checkpoint()
                turns += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count_turns)
            await metrics.expose()
            tasks.cancel_scope.cancel()
        assert turns > 100


async def test_every_metric_is_in_every_scrape() -> None:
    async with measured() as (metrics, _):
        families = {family.name: family for family in (await scrape(metrics)).families}
        assert {meter.name: meter.kind for meter in METERS} == {
            name: family.type for name, family in families.items()
        }


def test_names_and_labels_are_as_prometheus_wants_them(promtool: str) -> None:
    async def text() -> str:
        async with measured() as (metrics, running):
            running.gateway.on_request[0](at("/ws"), 404, 0.1)
            session = Busy("one")
            running.sessions.opened(session)
            running.sessions.ended(session, session.ending())
            return (await scrape(metrics)).classic()

    done = subprocess.run(
        [promtool, "check", "metrics"], input=anyio.run(text), text=True, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def test_who_administers_the_gateway_gets_the_same_text() -> None:
    async with measured() as (metrics, running):
        running.sessions.opened(Busy("one"))
        control = GatewayControl(
            running.gateway, Reloader(Disk(ConfigError([])).read), metrics=metrics
        )
        figures = Scrape(await control.metrics())
        status = await control.status()
        assert figures.sum("easews_sessions_open") == status["sessions"] == 1
        assert figures.sum("easews_state", state=status["state"]) == 1
        assert figures.sum("easews_state") == 1
        assert figures.sum("easews_generation") == status["generation"]
