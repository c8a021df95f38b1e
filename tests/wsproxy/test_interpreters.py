"""The compiled inner loop in an interpreter with a GIL of its own."""

from __future__ import annotations

import sys
from typing import Any

import pytest

#: Skims over two frames and relays a third, in an interpreter of its own.
PROGRAM = """
import socket
from easews_wsproxy.relay._batch import Batch, Lane

lane = Lane(False, False, -1)
assert lane.skim(b"\\x81\\x01a\\x82\\x00", 0, 5) == 5
assert (lane.frames, lane.messages) == (2, 2)
(near, source), (far, sink) = socket.socketpair(), socket.socketpair()
batch = Batch(print, bytearray(64), 64, 1 << 16)
batch.enter(near.fileno(), "leg", lane, sink.fileno())
batch.watch(near.fileno(), 1, True)
source.send(b"\\x81\\x01b")
assert batch.turn(float("inf"))
assert far.recv(9) == b"\\x81\\x01b"
batch.leave(near.fileno())
batch.close()
"""


def _run_isolated(program: str) -> None:
    """Run it in a new interpreter; RuntimeError, or one of the module's, when it raises."""
    if sys.version_info >= (3, 13):
        interpreters: Any = pytest.importorskip("_interpreters")
        made = interpreters.create("isolated")
    else:
        interpreters = pytest.importorskip("_xxsubinterpreters")
        made = interpreters.create(isolated=True)
    try:
        fault = interpreters.run_string(made, program)
        if fault is not None:
            raise RuntimeError(fault.formatted)
    finally:
        interpreters.destroy(made)


def test_an_isolated_interpreter_can_relay(batch: Any) -> None:
    for _ in range(3):
        _run_isolated(PROGRAM)
    assert batch.Lane(False, False, -1).skim(b"\x82\0", 0, 2) == 2
