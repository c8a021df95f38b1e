"""`examples/several-servers.yaml`: three servers, one of which takes twice as many sessions."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.e2e.backends import three_backends
from tests.e2e.gateway import PATIENCE, free_port, running
from tests.e2e.library import connect
from websockets.exceptions import ConnectionClosed

EXAMPLE = Path(__file__).parents[2] / "examples" / "several-servers.yaml"
PORTS = ("${BACKEND_PORT:-9095}", "${SECOND_PORT:-9096}", "${THIRD_PORT:-9097}")


def test_sessions_go_by_weight_and_past_a_server_that_has_died(loop: str, tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace("${PORT:-8080}", f"{free_port()}\naddress: 127.0.0.1")
    with three_backends() as backends, ExitStack() as stack:
        for variable, backend in zip(PORTS, backends, strict=True):
            text = text.replace(variable, str(backend.port))
        gateway = stack.enter_context(running(text, tmp_path, "--backend", loop))
        first, second, third = (str(backend.port) for backend in backends)
        sessions = [stack.enter_context(connect(gateway.ws("/ws"))) for _ in range(8)]
        led_to = [str(session.recv(PATIENCE)) for session in sessions]
        assert Counter(led_to) == {first: 4, second: 2, third: 2}
        backends[2].kill()
        more = [stack.enter_context(connect(gateway.ws("/ws"))) for _ in range(6)]
        assert {str(session.recv(PATIENCE)) for session in more} == {first, second}
        for session, port in zip(sessions, led_to, strict=True):
            if port == third:
                with pytest.raises(ConnectionClosed):
                    session.recv(PATIENCE)
            else:
                session.send("still here")
                assert session.recv(PATIENCE) == "still here"
