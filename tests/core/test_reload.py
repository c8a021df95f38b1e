"""What a new config changes: the plan of it, and a gateway that is given one."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.certificates import Authority
from tests.e2e.gateway import free_port

from easews import (
    ConfigError,
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
from easews.operate.serving.eviction import MOST_OLDER
from easews.operate.serving.reload import plan
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


async def test_sessions_whose_server_listens_elsewhere_are_closed() -> None:
    async with gateway(config("one"), Says) as running:
        stream = await open_session(running)
        # The kit gives every server a port of its own: so ask the gateway itself.
        await running.gateway.replace(load_config(config("one", port=free_port()) + DRAIN, Says))
        await anyio.wait_all_tasks_blocked()
        assert OPEN[0][1].closes == [(1012, "its path is gone")]
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


async def test_a_raw_socket_is_a_wire() -> None:
    async with gateway(config("one"), Says) as running:
        stream = await open_session(running)
        assert raw_socket(OPEN[0][0].wire) is not None
        end_session()
        await stream.aclose()


# -- what changes nothing ------------------------------------------------------------------------


async def test_an_equal_config_is_not_even_a_new_generation() -> None:
    async with gateway(config("one"), Says) as running:
        changes = await running.replace("# a comment\n---" + config("one"), Says)
        assert (changes.changes, running.gateway.generation) == ((), 1)


async def test_sessions_of_a_pipeline_that_stays_keep_no_older_generation() -> None:
    async with gateway(config("one"), Says) as running:
        stream = await open_session(running)
        for number in range(3 * MOST_OLDER):
            other = PIPELINE.format(name="other", text=f"t{number}")
            await running.replace(config("one") + f"\n---\n{other}" + DRAIN, Says)
        await anyio.wait_all_tasks_blocked()
        assert running.gateway.generation == 3 * MOST_OLDER + 1
        assert (running.gateway.older, OPEN[0][1].closes) == ({}, [])
        await running.replace(config("two") + DRAIN, Says)
        assert running.gateway.older == {3 * MOST_OLDER + 1: 1}
        end_session()
        await anyio.wait_all_tasks_blocked()
        assert running.gateway.older == {}
        assert LEFT.count("one") == 1
        await stream.aclose()


# -- older generations ---------------------------------------------------------------------------


async def test_the_oldest_generation_is_drained_when_there_are_too_many() -> None:
    async with gateway(config("t0") + DRAIN, Says) as running:
        streams = [await open_session(running)]
        for number in range(1, MOST_OLDER + 2):
            assert [session.closes for _, session in OPEN] == [[]] * number
            await running.replace(config(f"t{number}") + DRAIN, Says)
            streams.append(await open_session(running))
        await anyio.wait_all_tasks_blocked()
        assert OPEN[0][1].closes == [(1012, "its config is too old")]
        assert [session.closes for _, session in OPEN[1:]] == [[]] * (MOST_OLDER + 1)
        assert running.gateway.older == dict.fromkeys(range(1, MOST_OLDER + 2), 1)
        for stream in streams:
            end_session()
            await stream.aclose()


async def test_a_session_that_opens_when_its_path_is_gone_already_is_closed() -> None:
    asked, answer = anyio.Event(), anyio.Event()

    class Slow(Says):
        """Asks its backend for a while."""

        kind = "Slow"

        async def handle(self, ctx: Context) -> None:
            asked.set()
            await answer.wait()
            await super().handle(ctx)

    slow = config("one", a="p", b="p").replace("kind: Says", "kind: Slow")
    async with (
        gateway(slow + DRAIN, Slow) as running,
        await anyio.connect_tcp(*running.address) as stream,
    ):
        await stream.send(
            b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
        )
        await asked.wait()
        await running.replace(slow.replace("{path: /a, backend: p}, ", "") + DRAIN, Slow)
        answer.set()
        await stream.receive()
        await anyio.wait_all_tasks_blocked()
        assert OPEN[0][1].closes == [(1012, "its path is gone")]
        end_session()


# -- listeners that stay -------------------------------------------------------------------------


async def test_a_larger_limit_lets_in_those_who_wait() -> None:
    limited = config("one").replace("port: 80", "port: 80\nmaxConnections: 1")
    async with gateway(limited, Says) as running:
        streams = [await open_session(running)]

        async def open_another() -> None:
            streams.append(await open_session(running))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(open_another)
            await running.replace(limited.replace("tions: 1", "tions: 2"), Says)
        assert len(OPEN) == 2
        for stream in streams:
            end_session()
            await stream.aclose()


async def test_the_permissions_of_a_unix_socket_are_changed(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    where = f"address: 'unix:{path}'\nsocketMode: '0600'"
    text = config("one").replace("port: 80", where)
    async with gateway(text, Says) as running:
        await running.replace(text.replace("0600", "0666"), Says)
        assert path.stat().st_mode & 0o777 == 0o666


async def test_tls_on_the_same_port_holds_for_old_connections_too(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = authority.fields("localhost")
    lines = "\n".join(f"{key}: {str(value).lower()}" for key, value in tls.items())
    get = b"GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with gateway(config("one"), Says) as running:
        stream = await anyio.connect_tcp(*running.address)
        await stream.send(get)
        assert (await stream.receive()).startswith(b"HTTP/1.1 200 ")
        await running.replace(config("one").replace("port: 80", f"port: 80\n{lines}"), Says)
        await stream.send(get)
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        await stream.aclose()
        secure = await anyio.connect_tcp(
            *running.address, ssl_context=authority.client(), tls_hostname="localhost"
        )
        async with secure:
            await secure.send(get)
            assert (await secure.receive()).startswith(b"HTTP/1.1 200 ")
        await running.replace(config("one"), Says)
        assert await ask(running) == b"one"


# -- any sequence --------------------------------------------------------------------------------

PATHS, NAMES, TEXTS = ["/a", "/b", "/c"], ["p", "q"], ["one", "two"]
RULES = st.lists(
    st.tuples(st.sampled_from(["", "x.test"]), st.sampled_from(PATHS), st.sampled_from(NAMES)),
    min_size=1,
    max_size=5,
)
CONFIGS = st.tuples(
    RULES, st.dictionaries(st.sampled_from(NAMES), st.sampled_from(TEXTS)), st.integers(0, 2)
)


def as_text(rules: list[tuple[str, str, str]], texts: dict[str, str], limit: int) -> str:
    """A config with these rules, pipelines that say these texts, and a limit on heads."""
    server = {
        "kind": "HTTPServer",
        "name": "s",
        "port": 80,
        "maxHeaders": (3, 2, 100)[limit],
        "rules": [
            {"hosts": [host] if host else [], "paths": [{"path": path, "backend": name}]}
            for host, path, name in dict.fromkeys(rules)
        ],
    }
    pipelines = [
        {"kind": "Pipeline", "name": name, "filters": [says]}
        for name in NAMES
        for says in [{"kind": "Says", "name": "says", "text": texts.get(name, "none")}]
    ]
    return "\n---\n".join(map(json.dumps, (server, *pipelines)))


async def answers(running: Running) -> list[bytes]:
    """What every request of a set gets."""
    found = []
    for host in ("h", "x.test"):
        for path in PATHS:
            async with await anyio.connect_tcp(*running.address) as stream:
                head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX: 1\r\n\r\n"
                await stream.send(head.encode())
                whole = b"".join([piece async for piece in stream])
            body = whole.partition(b"\r\n\r\n")[2]
            found.append(whole[:12] + body.partition(b" (request ")[0])
    return found


def _is_valid(given: tuple[list[tuple[str, str, str]], dict[str, str], int]) -> bool:
    try:
        load_config(as_text(*given), Says)
    except ConfigError:  # a path that never matches, for example
        return False
    return True


async def _served_as_fresh(texts: list[str]) -> None:
    async with gateway(texts[0], Says) as running:
        for text in texts[1:]:
            await running.replace(text, Says)
            async with gateway(text, Says) as fresh:
                assert await answers(running) == await answers(fresh)


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@settings(max_examples=15, phases=[Phase.explicit, Phase.generate])
@given(st.lists(CONFIGS.filter(_is_valid), min_size=2, max_size=4))
def test_after_any_sequence_of_configs_the_last_one_is_served_as_if_it_were_the_first(
    loop: str, given: list[Any]
) -> None:
    anyio.run(partial(_served_as_fresh, [as_text(*it) for it in given]), backend=loop)
