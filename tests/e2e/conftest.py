"""What the end-to-end tests share: one gateway for each event loop, in front of the backends."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.cable import Cable
from tests.e2e.far import Open, opener
from tests.e2e.gateway import Gateway, Route, config, free_port, proxied, running
from tests.e2e.library import LibraryBackend
from tests.e2e.raw import LOOPBACK, Peer, RawBackend
from tests.e2e.wheels import environment


@pytest.fixture(scope="session", params=["asyncio", "trio"])
def loop(request: pytest.FixtureRequest) -> str:
    """The event loop that the gateway runs on; the tests themselves need none."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def backend() -> Iterator[LibraryBackend]:
    """The backend behind /echo."""
    backend = LibraryBackend()
    yield backend
    backend.close()


@pytest.fixture(autouse=True)
def _leaves_no_endings(request: pytest.FixtureRequest) -> Iterator[None]:
    """The next test that uses `backend` asks how its own sessions have ended."""
    # Some modules have a fixture or a parameter of this name.
    is_own = "backend" not in request.fixturenames or hasattr(request.module, "backend")
    backend: object = None if is_own else request.getfixturevalue("backend")
    if not isinstance(backend, LibraryBackend):
        yield
        return
    before = set(backend.sessions)
    yield
    backend.forget_endings(before)


@pytest.fixture
def own_backend() -> Iterator[LibraryBackend]:
    """A backend for one test, which need not ask how its sessions have ended."""
    backend = LibraryBackend()
    yield backend
    backend.close()


@pytest.fixture(scope="session")
def clean_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with all wheels. Tests that ask for it are in `TOGETHER`."""
    return environment(tmp_path_factory.mktemp("clean"))


@pytest.fixture(scope="session")
def raw_port() -> int:
    """The port behind /raw: nobody listens there but a test that asks for `raw_backend`."""
    return free_port()


@pytest.fixture
def raw_backend(raw_port: int) -> Iterator[RawBackend]:
    """A backend whose part the test plays itself."""
    backend = RawBackend(raw_port)
    yield backend
    backend.close()


NOT_WEBSOCKET_ENDS = [{"filter": "proxy", "jumpIf": {"notWebSocket": "END"}}]


@pytest.fixture(scope="session")
def gateway(
    loop: str, backend: LibraryBackend, raw_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway that outlives whatever the tests do to it, and then stops cleanly."""
    raw = f"ws://{LOOPBACK}:{raw_port}"
    down = f"ws://{LOOPBACK}:{free_port()}"
    forwarded = {"kind": "XForwarded", "name": "forwarded"}
    text = config(
        free_port(),
        proxied("/echo", backend.url),
        proxied("/raw", raw),
        proxied("/based", f"{raw}/base"),
        proxied("/hurried", raw, timeouts={"handshake": "300ms"}),
        proxied("/friends", raw, originPatterns=["*.friends.test", "null"]),
        proxied("/anyone", raw, insecureSkipVerify=True),
        proxied("/routed", raw, flow=NOT_WEBSOCKET_ENDS),
        proxied("/down", down),
        proxied("/second", down, backend.url),
        proxied("/twice", raw, f"{raw}/"),
        Route("/get-only", [forwarded], path_fields={"methods": ["GET"]}),
        Route("/nothing", [forwarded]),
    )
    folder = tmp_path_factory.mktemp(loop)
    with running(text, folder, "--backend", loop, "--log-format", "json") as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Gateway) -> Iterator[Peer]:
    """A raw connection to the gateway."""
    with Peer(socket.create_connection((LOOPBACK, gateway.port))) as peer:
        yield peer


@pytest.fixture
def open_session(loop: str, cable: Cable, tmp_path: Path) -> Open:
    """Opens a session over the cable, through a gateway of its own."""
    return opener(loop, cable, tmp_path)
