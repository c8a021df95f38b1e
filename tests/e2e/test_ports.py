"""The ports that the tests choose."""

from __future__ import annotations

import socket
import sys

import pytest
from tests.e2e.gateway import LOOPBACK, free_port


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a port for somebody")
def test_a_free_port_is_kept_for_who_asked_for_it() -> None:
    port = free_port()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port))
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind((LOOPBACK, port))
    with socket.create_server((LOOPBACK, port)):
        socket.create_connection((LOOPBACK, port)).close()
