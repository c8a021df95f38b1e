"""What comes between two batches of an upgrade: a stop, or too many descriptors on their way."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.e2e.gateway import PATIENCE, Gateway, config, free_port, proxied
from tests.e2e.library import LibraryBackend, connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are read in /proc")

PROGRAM = Path(__file__).with_name("halfway_upgrade.py")
#: The first is as in easews.operate.handover.protocol.
BATCH, REST = 16, 4
COUNT = BATCH + REST
#: They take their time: nothing is cut for want of it.
DRAIN = "---\n{kind: Gateway, name: g, drain: {window: 2s}}"


@contextmanager
def upgrading(
    what: str, backend: LibraryBackend, folder: Path
) -> Iterator[tuple[Gateway, Sequence[ClientConnection]]]:
    """A gateway with sessions, in whose upgrade this happens. Both processes have to end well."""
    file = folder / "config.yaml"
    file.write_text(config(free_port(), proxied("/", backend.url)) + DRAIN)
    easews = (sys.executable, "-W", "always::ResourceWarning", str(PROGRAM), what)
    gateway = Gateway(file, easews=easews)
    try:
        gateway.wait_until_it_listens()
        with ExitStack() as stack:
            sessions = [stack.enter_context(connect(gateway.ws("/"))) for _ in range(COUNT)]
            gateway.process.send_signal(signal.SIGUSR2)
            yield gateway, sessions
        assert gateway.wait() == 0
        log = gateway.log.all()
        assert "Traceback" not in log, log
        assert "ResourceWarning" not in log, log
        ended = [line.partition("id=")[2].split()[0] for line in gateway.log.having("session id=")]
        assert len(ended) == len({*ended}) == COUNT, log
    finally:
        gateway.close()


def close_code(session: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        session.recv(PATIENCE)
    return None if closed.value.rcvd is None else closed.value.rcvd.code


@pytest.mark.parametrize("what", ["stop", "stop-new", "stop-both"])
def test_a_stop_ends_each_session_once_and_with_a_close(
    own_backend: LibraryBackend, tmp_path: Path, what: str
) -> None:
    with upgrading(what, own_backend, tmp_path) as (_, sessions):
        assert [*map(close_code, sessions)] == [1001] * COUNT


def test_sessions_wait_while_too_many_descriptors_are_on_their_way(
    own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with upgrading("crowded-awhile", own_backend, tmp_path) as (gateway, sessions):
        told = gateway.log.wait_for("handed over", f"moved={COUNT}", "kept_behind=0")
        for session in sessions:
            session.send("still here")
            assert session.recv(PATIENCE) == "still here"
        os.kill(int(told.partition("pid=")[2].split()[0]), signal.SIGTERM)
        assert [*map(close_code, sessions)] == [1001] * COUNT


def test_sessions_whose_descriptors_cannot_be_sent_stay_behind_and_drain(
    own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with upgrading("crowded", own_backend, tmp_path) as (gateway, sessions):
        gateway.log.wait_for("stays in this process, and is drained: too many descriptors")
        told = gateway.log.wait_for("handed over", f"moved={BATCH}", f"kept_behind={REST}")
        *moved, one, two, three, four = sessions
        assert [*map(close_code, (one, two, three, four))] == [1001] * REST
        for session in moved:
            session.send("still here")
            assert session.recv(PATIENCE) == "still here"
        os.kill(int(told.partition("pid=")[2].split()[0]), signal.SIGTERM)
        assert [*map(close_code, moved)] == [1001] * BATCH
