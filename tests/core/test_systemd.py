"""What systemd says in the environment, what a service answers, and sockets that are passed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest

from easews.addresses import Address
from easews.config.model import ServerSpec
from easews.errors import ListenError
from easews.net.sockets import bound_address
from easews.operate.notifying import Notifier, passed_sockets
from easews.operate.systemd import SystemdEnvironment, message, take
from easews.server.binding import bind
from easews.server.passed import Passed
from easews.testing import load_config

PID = 42
SOCKETS = {"LISTEN_PID": "42", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "web:admin"}


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, SystemdEnvironment()),
        ({"NOTIFY_SOCKET": "/run/notify"}, SystemdEnvironment("/run/notify")),
        ({"NOTIFY_SOCKET": "@notify"}, SystemdEnvironment("\0notify")),
        ({"NOTIFY_SOCKET": "vsock:2:1234"}, SystemdEnvironment()),
        ({"WATCHDOG_USEC": "1500000"}, SystemdEnvironment(watchdog=1.5)),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "42"}, SystemdEnvironment(watchdog=1.5)),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "43"}, SystemdEnvironment()),
        ({"WATCHDOG_USEC": "soon"}, SystemdEnvironment()),
        (SOCKETS, SystemdEnvironment(passed=("web", "admin"))),
        (SOCKETS | {"LISTEN_FDNAMES": "web"}, SystemdEnvironment(passed=("web", ""))),
        ({"LISTEN_PID": "42", "LISTEN_FDS": "1"}, SystemdEnvironment(passed=("",))),
        (SOCKETS | {"LISTEN_PID": "43"}, SystemdEnvironment()),
        ({"LISTEN_FDS": "2"}, SystemdEnvironment()),
        (SOCKETS | {"LISTEN_FDS": "-2"}, SystemdEnvironment()),
    ],
)
def test_the_environment_tells(environment: dict[str, str], told: SystemdEnvironment) -> None:
    assert take(dict(environment), PID) == told


def test_children_see_none_of_it() -> None:
    environment = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "42"}
    environment |= SOCKETS | {"LISTEN_PIDFDID": "1", "PATH": "/bin"}
    take(environment, PID)
    assert environment == {"PATH": "/bin"}


def test_a_report_has_a_line_for_each_field() -> None:
    assert message(READY=1, STATUS="two\nlines") == b"READY=1\nSTATUS=two lines"


@pytest.fixture
def listening() -> Iterator[list[socket.socket]]:
    """Two sockets on ports of the loopback."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_server(("127.0.0.1", 0), family=socket.AF_INET))
            for _ in range(2)
        ]


def server(address: str, port: int = 0, name: str = "web") -> ServerSpec:
    where = f"port: {port}" if port else "rules: []"
    text = f"{{kind: HTTPServer, name: {name}, address: '{address}', {where}}}"
    return load_config(text).servers[0]


def port_of(sock: socket.socket) -> int:
    return bound_address(sock).port


def close(socks: list[socket.socket]) -> None:
    for sock in socks:
        sock.close()


def test_a_server_listens_on_the_passed_socket_at_its_address(
    listening: list[socket.socket],
) -> None:
    first, second = listening
    passed = Passed([("a", first.fileno()), ("b", second.fileno())])
    socks = bind(server("127.0.0.1", port_of(second)), passed)
    assert [*map(bound_address, socks)] == [bound_address(second)]
    assert not socks[0].getblocking()
    assert socks[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert [*passed.unused()] == [("a", bound_address(first))]
    close(socks)


def test_a_server_listens_on_all_passed_sockets_of_its_name(
    listening: list[socket.socket],
) -> None:
    passed = Passed([("web", sock.fileno()) for sock in listening])
    socks = bind(server("10.0.0.1", 80), passed)
    assert [*map(bound_address, socks)] == [*map(bound_address, listening)]
    assert [*passed.unused()] == []
    close(socks)


def test_a_server_without_an_address_listens_on_a_passed_socket_of_ipv4_only() -> None:
    with socket.create_server(("0.0.0.0", 0)) as every:
        socks = bind(server("", port_of(every)), Passed([("", every.fileno())]))
        assert [*map(bound_address, socks)] == [Address("0.0.0.0", port_of(every))]
        close(socks)


def test_a_server_that_has_closed_its_passed_socket_gets_it_again(
    listening: list[socket.socket],
) -> None:
    passed = Passed([("web", listening[0].fileno())])
    close(bind(server("127.0.0.1", 80), passed))
    socks = bind(server("127.0.0.1", 80), passed)
    with socket.create_connection(listening[0].getsockname()):
        socks[0].accept()[0].close()
    close(socks)


def test_the_file_of_a_passed_unix_socket_stays() -> None:
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as unix:
        path = Path(folder, "s")
        unix.bind(str(path))
        unix.listen()
        close(bind(server(f"unix:{path}"), Passed([("", unix.fileno())])))
        assert path.is_socket()


@pytest.fixture
def descriptors(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Descriptors in a row, as systemd passes them."""
    with ExitStack() as stack:
        kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
        for number, kind in enumerate(kinds, 900):
            sock = stack.enter_context(socket.socket(socket.AF_INET, kind))
            sock.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                sock.listen()
            os.dup2(sock.fileno(), number)
            stack.callback(os.close, number)
        monkeypatch.setattr("easews.operate.notifying.FIRST_DESCRIPTOR", 900)
        yield [900, 901]


def test_passed_descriptors_are_not_for_children(descriptors: list[int]) -> None:
    passed = passed_sockets(["web"])
    assert not os.get_inheritable(descriptors[0])
    socks = passed.named("web")
    assert not os.get_inheritable(socks[0].fileno())
    close(socks)


@pytest.mark.parametrize("first", [901, 902], ids=["datagrams", "closed"])
def test_a_descriptor_that_does_not_listen_is_refused(
    descriptors: list[int], monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    monkeypatch.setattr("easews.operate.notifying.FIRST_DESCRIPTOR", first)
    with pytest.raises(ListenError, match=rf"{first} \(web\) is no listening stream socket"):
        passed_sockets(["web"])


def test_a_report_that_cannot_be_sent_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier(SystemdEnvironment(str(tmp_path / "gone")))
    notifier.ready("fine")
    notifier.stopping()
    assert [it.getMessage().partition(":")[0] for it in caplog.records] == [
        "systemd cannot be told READY, STATUS"
    ]


async def test_without_a_notifier_there_is_no_beat() -> None:
    with anyio.fail_after(10):
        await Notifier(SystemdEnvironment(watchdog=1)).beat(lambda: pytest.fail("somebody asked"))
