"""A gateway that runs out of open files: new clients wait, and nobody else notices."""

from __future__ import annotations

import os
import resource
import socket
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from .gateway import LOOPBACK, Gateway, config, free_port, proxied, running
from .raw import BINARY, TEXT, Frame, Peer, RawBackend, frame, handshake

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prlimit(2) is Linux's")

LIMIT = 64


def cpu_seconds(gateway: Gateway) -> float:
    fields = Path(f"/proc/{gateway.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def connect(gateway: Gateway) -> Peer:
    return Peer(socket.create_connection((LOOPBACK, gateway.port)))


def test_out_of_files_new_clients_wait_and_sessions_go_on(
    loop: str, raw_port: int, raw_backend: RawBackend, tmp_path: Path
) -> None:
    text = config(free_port(), proxied("/", f"ws://{LOOPBACK}:{raw_port}"))
    with running(text, tmp_path, "--backend", loop) as gateway:
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        client = connect(gateway)
        client.send(handshake("/"))
        backend, _ = raw_backend.accept_session()
        assert client.head().status == 101

        idle = [connect(gateway) for _ in range(2 * LIMIT)]
        gateway.log.wait_for("test-server cannot accept connections: Too many open files")
        used, began = cpu_seconds(gateway), monotonic()
        sleep(1)
        assert cpu_seconds(gateway) - used < (monotonic() - began) / 2
        client.send(frame(TEXT, b"hello"))
        assert backend.frame() == Frame(TEXT, b"hello")
        large = os.urandom(1 << 20)
        backend.send(frame(BINARY, large, masked=False))
        assert client.frame() == Frame(BINARY, large)

        # One that was accepted, and for whose backend there is no descriptor.
        idle[0].send(handshake("/"))
        assert idle[0].head().status == 502
        idle[0].close()

        for peer in idle[1:]:
            peer.close()
        late = connect(gateway)
        late.send(handshake("/"))
        late_backend, _ = raw_backend.accept_session()
        assert late.head().status == 101
        gateway.log.wait_for("test-server has accepted all connections that waited")
        assert len(gateway.log.having("cannot accept connections")) == 1
        for peer in (late, client):
            peer.close()
        for peer in (late_backend, backend):
            assert peer.frame().close[0] == 1001
            peer.close()
