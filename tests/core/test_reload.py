"""What a new config changes: the plan of it, and a gateway that is given one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from easews import (
    Connection,
    Context,
    Ending,
    Filter,
    FilterError,
    Headers,
    ListenError,
    Response,
    Service,
    Services,
    Upgrade,
)
from easews.lowlevel import raw_socket
from easews.operate.drain import schedule
from easews.operate.reload import plan
from easews.testing import OpenSession, Running, gateway, load_config

SERVER = """
kind: HTTPServer
name: {name}
port: {port}
rules: [{{paths: [{paths}]}}]
---
"""
DRAIN = "\n---\n{kind: Gateway, name: g, drain: {window: 0, deadline: 0, code: 1012}}"
PIPELINE = "{{kind: Pipeline, name: {name}, filters: [{{kind: Says, name: says, text: {text}}}]}}"


class Says(Filter):
    """Answers with its text; an upgrade opens a session."""

    kind = "Says"
    schema = MappingProxyType({"type": "object", "properties": {"text": {"type": "string"}}})

    async def handle(self, ctx: Context) -> None:
        if "upgrade" in ctx.request.headers:
            ctx.response = Upgrade(Headers(), "x", "backend", self._start, lambda: None)
        else:
            ctx.response = Response(200, content=self.spec["text"])

    def _start(self, connection: Connection) -> None:
        OPEN.append((connection, OpenSession(connection.opening)))
        connection.opened(OPEN[-1][1])

    async def __aenter__(self) -> Says:
        if self.spec["text"] == "broken":
            raise OSError("no such file")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        LEFT.append(self.spec["text"])


OPEN: list[tuple[Connection, OpenSession]] = []
LEFT: list[str] = []


@pytest.fixture(autouse=True)
def nothing_open() -> Any:
    OPEN.clear()
    LEFT.clear()
    yield
    for connection, _ in OPEN:
        connection.wire.close()


def config(text: str = "one", name: str = "s", port: int = 80, **paths: str) -> str:
    """A server whose `paths` lead to the pipelines of these names, all of which say `text`."""
    paths = paths or {"ws": "p"}
    listed = ", ".join(f"{{path: /{path}, backend: {to}}}" for path, to in paths.items())
    pipelines = "\n---\n".join(
        PIPELINE.format(name=to, text=text) for to in dict.fromkeys(paths.values())
    )
    return SERVER.format(name=name, port=port, paths=listed) + pipelines


async def ask(running: Running, path: str = "/ws") -> bytes:
    async with await anyio.connect_tcp(*running.address) as stream:
        await stream.send(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        data = b"".join([piece async for piece in stream])
    return data.partition(b"\r\n\r\n")[2]


async def open_session(running: Running, path: str = "/ws") -> SocketStream:
    stream = await anyio.connect_tcp(*running.address)
    head = f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
    await stream.send(head.encode())
    assert (await stream.receive()).startswith(b"HTTP/1.1 101 ")
    return stream


def end_session(number: int = 0) -> None:
    connection, _ = OPEN.pop(number)
    connection.wire.close()
    connection.over(Ending("client", 1000, "closed", 0.0))


async def test_requests_see_the_new_config_and_sessions_keep_the_old_one() -> None:
    async with gateway(config("one"), Says) as running:
        assert await ask(running) == b"one"
        stream = await open_session(running)
        await running.replace(config("two"), Says)
        assert await ask(running) == b"two"
        await anyio.wait_all_tasks_blocked()
        assert (len(running.sessions), LEFT) == (1, [])
        assert OPEN[0][1].opening.generation == 1
        end_session()
        await anyio.wait_all_tasks_blocked()
        assert LEFT == ["one"]
        await stream.aclose()
    assert LEFT == ["one", "two"]


def test_a_plan_names_the_filters_that_are_new_or_changed() -> None:
    before, after = (load_config(config(text), Says) for text in ("one", "two"))
    assert plan(before, before).started == set()
    assert plan(before, after).started == {("p", "says")}


async def test_what_has_not_changed_is_not_touched() -> None:
    async with gateway(config("one"), Says) as running:
        address = running.address
        changes = await running.replace(config("one", ws="p", more="p"), Says)
        assert not changes.started
        assert await ask(running, "/more") == b"one"
        assert running.address == address
        assert LEFT == []
    assert LEFT == ["one"]


async def test_sessions_whose_path_is_gone_are_closed_and_no_others() -> None:
    async with gateway(config(a="p", b="p"), Says) as running:
        streams = [await open_session(running, path) for path in ("/a", "/b")]
        await running.replace(config(b="p") + DRAIN, Says)
        await anyio.wait_all_tasks_blocked()
        assert [session.closes for _, session in OPEN] == [[(1012, "its path is gone")], []]
        for stream in streams:
            end_session()
            await stream.aclose()


async def test_a_stop_closes_with_the_code_of_the_drain_and_waits_no_longer_than_it() -> None:
    config_without_drain = load_config(config(a="p"), Says)
    async with gateway(config(a="p") + DRAIN, Says) as running:
        stream = await open_session(running, "/a")
        usual = config_without_drain.gateway.drain.deadline
        with anyio.fail_after(usual / 4):
            await running.gateway.stop()
        ((_, session),) = OPEN
        assert session.closes == [(1012, "the gateway is stopping")]
        assert len(running.sessions) == 1
        end_session()
        await stream.aclose()


async def test_a_config_whose_filter_cannot_start_changes_nothing() -> None:
    async with gateway(config("one"), Says) as running:
        with pytest.raises(FilterError, match="no such file"):
            await running.replace(config("broken", name="other"), Says)
        assert await ask(running) == b"one"
        assert [*running.addresses] == ["s"]


async def test_a_config_whose_server_cannot_listen_changes_nothing() -> None:
    async with gateway(config("one"), Says) as running:
        taken = running.address.port
        # The kit gives every server a port of its own: so ask the gateway itself.
        other = load_config(config("two", name="other", port=taken), Says)
        with pytest.raises(ListenError, match="another process listens there"):
            await running.gateway.replace(other)
        assert await ask(running) == b"one"


async def test_servers_come_and_go() -> None:
    async with gateway(config("one", name="s"), Says) as running:
        gone = running.address
        changes = await running.replace(config("one", name="t"), Says)
        assert (changes.closes, [spec.name for spec in changes.opens]) == (("s",), ["t"])
        assert await ask(running) == b"one"
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(OSError, match="connection attempts failed"):
            await anyio.connect_tcp(*gone)


class Late(Service):
    """A service that only a later config needs."""

    async def serve(self, ready: Callable[[], None]) -> None:
        ready()
        await anyio.sleep_forever()


class NeedsLate(Says):
    """Uses it."""

    kind = "NeedsLate"
    services = (Late,)

    async def handle(self, ctx: Context) -> None:
        ctx.response = Response(200, content=type(ctx.services[Late]).__name__)


async def test_a_service_that_a_reload_asks_for_is_started() -> None:
    async with gateway(config("one"), Says) as running:
        assert isinstance(running.gateway.services, Services)
        later = config("one").replace("kind: Says", "kind: NeedsLate")
        await running.replace(later, NeedsLate)
        assert await ask(running) == b"Late"


def test_a_server_that_listens_elsewhere_is_opened_anew() -> None:
    before = load_config(config(port=80) + "\n---\n" + config(name="t", port=81, q="q"), Says)
    after = load_config(config(name="renamed", port=80), Says)
    changes = plan(before, after)
    assert changes.keeps == {"renamed": "s"}
    assert (changes.opens, changes.closes) == ((), ("t",))


def test_two_rules_with_one_path_are_told_apart() -> None:
    text = """
        kind: HTTPServer
        name: s
        port: 80
        rules:
        - {host: a.example, paths: [{path: /ws, backend: p}]}
        - host: b.example
          paths:
          - {path: /ws, backend: p, ipFilter: {blockIPs: [192.0.2.7]}}
          - {path: /ws, backend: p}
        """
    pipeline = "\n---\n" + PIPELINE.format(name="p", text="one")
    (server,) = load_config(text + pipeline, Says).servers
    keys = [path.key for rule in server.rules for path in rule.paths]
    assert len(set(keys)) == 3
    (server,) = load_config(text.replace("a.example", "c.example") + pipeline, Says).servers
    assert [path.key for rule in server.rules for path in rule.paths][1:] == keys[1:]


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_a_drain_is_spread_evenly_over_its_window(jitter: float) -> None:
    times = schedule(100, 30.0, lambda: jitter)
    assert len(times) == 100
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(gap == pytest.approx(0.3) for gap in gaps)
    assert 0 <= times[0] < 0.3
    assert times[-1] < 30.0


def test_nothing_to_drain_takes_no_time() -> None:
    assert schedule(0, 30.0) == []


async def test_a_raw_socket_is_a_wire() -> None:
    async with gateway(config("one"), Says) as running:
        stream = await open_session(running)
        assert raw_socket(OPEN[0][0].wire) is not None
        end_session()
        await stream.aclose()
