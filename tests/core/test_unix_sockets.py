"""Servers on a unix socket: its file, and who its clients are."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest

from easews import Context, Filter, Response
from easews.addresses import UNIX_PEER, UnixPeers, is_within, parse_peers
from easews.config.model import ServerSpec
from easews.errors import ListenError
from easews.net.sockets import bound_address
from easews.server.binding import bind
from easews.testing import gateway, load_config

PATIENCE = 30


@pytest.fixture
def path() -> Iterator[Path]:
    """Where a socket may be made; pytest's own folders have names that are too long on macOS."""
    with TemporaryDirectory() as folder:
        yield Path(folder, "s")


def server(path: Path, more: str = "") -> ServerSpec:
    config = load_config(f"kind: HTTPServer\nname: server\naddress: unix:{path}\n{more}")
    return config.servers[0]


def refusal(path: Path) -> str:
    with pytest.raises(ListenError) as caught:
        bind(server(path))
    return str(caught.value)


class Tells(Filter):
    """Answers with who the client is."""

    kind = "Tells"

    async def handle(self, ctx: Context) -> None:
        request = ctx.request
        addresses = {"peer": request.peer, "client": request.client, "local": request.local}
        told = {name: str(address) for name, address in addresses.items()}
        told["said"] = request.headers.get("x-forwarded-for")
        ctx.response = Response(200, content=json.dumps(told))


async def told(path: Path, more: str = "") -> dict[str, str]:
    """What the filter tells a client that says that it speaks for another."""
    config = f"""
kind: HTTPServer
name: server
address: unix:{path}
clientAddressFrom: x-forwarded-for
{more}
rules:
- paths:
  - backend: tells
---
kind: Pipeline
name: tells
filters:
- {{kind: Tells, name: tells}}
"""
    request = (
        b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.5\r\nConnection: close\r\n\r\n"
    )
    async with gateway(config, Tells) as running:
        assert str(running.address) == f"unix:{path}"
        data = b""
        with anyio.fail_after(PATIENCE):
            async with await anyio.connect_unix(path) as stream:
                await stream.send(request)
                async for piece in stream:
                    data += piece
    answer: dict[str, str] = json.loads(data.partition(b"\r\n\r\n")[2])
    return answer


async def test_a_client_has_no_address_and_is_not_believed(path: Path) -> None:
    expected = {"peer": "unix", "client": "unix", "local": f"unix:{path}", "said": ""}
    assert await told(path) == expected


async def test_whoever_connects_may_be_trusted(path: Path) -> None:
    answer = await told(path, "trustedProxies: [unix]")
    assert (answer["peer"], answer["client"]) == ("unix", "203.0.113.5")
    assert answer["said"] == "203.0.113.5"


async def test_the_log_says_that_a_client_came_over_a_unix_socket(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "easews.access")
    await told(path)
    (record,) = [record for record in caplog.records if record.name == "easews.access"]
    assert vars(record)["easews_fields"]["client"] == "unix"


async def test_clients_without_an_address_are_not_limited_as_one(path: Path) -> None:
    assert (await told(path, "maxConnectionsPerClient: 1"))["peer"] == "unix"


async def test_the_socket_is_gone_when_the_gateway_is(path: Path) -> None:
    await told(path)
    assert not await anyio.Path(path).exists()


@pytest.mark.parametrize(("more", "mode"), [("", 0o660), ("socketMode: '0606'", 0o606)])
def test_the_file_has_the_permissions_of_the_config(path: Path, more: str, mode: int) -> None:
    before = os.umask(0o022)
    try:
        (sock,) = bind(server(path, more))
        with sock:
            assert stat.S_IMODE(path.stat().st_mode) == mode
            assert bound_address(sock).host == f"unix:{path}"
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_the_file_of_a_dead_process_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    (sock,) = bind(server(path))
    with sock, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_the_socket_of_a_living_process_is_left_alone(path: Path) -> None:
    (sock,) = bind(server(path))
    with sock:
        assert f"cannot listen on unix:{path}: Address already in use" in refusal(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_full_queue_does_not_make_a_socket_dead(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(5)]
        for client in clients:
            client.setblocking(False)
        codes = [client.connect_ex(str(path)) for client in clients]
        assert errno.EAGAIN in codes or os.uname().sysname != "Linux"
        assert "another process listens there" in refusal(path)
        for client in clients:
            client.close()


def test_a_file_that_is_no_socket_is_never_removed(path: Path) -> None:
    path.write_text("precious")
    assert "a file that is no socket is there" in refusal(path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("leads_to", ["dead", "nowhere"])
def test_a_link_is_no_socket_wherever_it_leads(path: Path, leads_to: str) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path.with_name("dead")))
    path.symlink_to(path.with_name(leads_to))
    assert "a file that is no socket is there" in refusal(path)
    assert path.is_symlink()


def test_a_folder_that_does_not_exist_is_told(path: Path) -> None:
    assert "its folder does not exist" in refusal(path / "s")


def test_a_file_that_another_process_has_put_there_since_is_left_alone(path: Path) -> None:
    (sock,) = bind(server(path))
    path.unlink()
    path.write_text("another's")
    sock.close()
    sock.close()
    assert path.read_text() == "another's"


def test_unix_peers_are_within_a_list_that_names_them() -> None:
    peers = [parse_peers(text) for text in ("10.0.0.0/8", "unix")]
    assert peers[1] is UnixPeers.ALL
    assert is_within(UNIX_PEER.host, peers)
    assert not is_within(UNIX_PEER.host, peers[:1])
    assert is_within("10.0.0.1", peers)
    assert not is_within("10.0.0.1", peers[1:])
    assert not is_within("unix:/run/s", peers)
