"""The compiled inner loop in an interpreter with a GIL of its own."""

from __future__ import annotations

import sys
from typing import Any

import pytest

#: Skims over two frames and relays a third, in an interpreter of its own.
PROGRAM = """
import socket
from easews_wsproxy.relay._loop import Loop, FrameState

frame_state = FrameState(False, False, -1)
assert frame_state.skim(b"\\x81\\x01a\\x82\\x00", 0, 5) == 5
assert (frame_state.frames, frame_state.messages) == (2, 2)
(near, source), (far, sink) = socket.socketpair(), socket.socketpair()
loop = Loop(print, print, print, bytearray(64), 64, 1 << 16)
loop.enter(near.fileno(), "session", "leg", frame_state, sink.fileno())
loop.update_interest(near.fileno(), 1, True)
source.send(b"\\x81\\x01b")
assert loop.turn(float("inf"))
assert far.recv(9) == b"\\x81\\x01b"
loop.leave(near.fileno())
loop.close()
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


def test_an_isolated_interpreter_can_relay(compiled_loop: Any) -> None:
    for _ in range(3):
        _run_isolated(PROGRAM)
    assert compiled_loop.FrameState(False, False, -1).skim(b"\x82\0", 0, 2) == 2
