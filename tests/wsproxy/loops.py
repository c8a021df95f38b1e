"""Which inner loops there are to test, and modules on the one or the other."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from easews_wsproxy.messages import filling, reading
from easews_wsproxy.relay import frames, framestate, masking
from easews_wsproxy.relay.compiled import COMPILED

LOOPS = ["compiled", "pure"] if COMPILED else ["pure"]

#: For tests of what is done with sockets only, or that time how a peer's socket is read.
plain_only = pytest.mark.parametrize("relaying", LOOPS, indirect=True)

#: What `relay.compiled` has where nothing was compiled.
PURE = SimpleNamespace(
    FrameState=framestate.FrameState,
    apply_mask=masking.apply_mask,
    is_ascii=masking.is_ascii,
    keep_freed_memory=masking.keep_freed_memory,
    lengthen=masking.lengthen,
    payload_of=masking.payload_of,
)


def frames_on(compiled: Any) -> ModuleType:
    """`relay.frames` once more, with `compiled` in place of `relay.compiled`."""
    return _again(frames, {"easews_wsproxy.relay.compiled": compiled})


def reading_on(compiled: Any) -> ModuleType:
    """`messages.reading` once more, and its `Walker`, with `compiled` in the same place."""
    names = {
        "easews_wsproxy.relay.compiled": compiled,
        "easews_wsproxy.relay.frames": frames_on(compiled),
        "easews_wsproxy.messages.filling": _again(
            filling, {"easews_wsproxy.relay.compiled": compiled}
        ),
    }
    return _again(reading, names)


def _again(module: ModuleType, stand_ins: dict[str, Any]) -> ModuleType:
    """`module` once more, with these in place of modules that it imports."""
    assert module.__file__ is not None
    spec = importlib.util.spec_from_file_location(f"{module.__name__}_again", module.__file__)
    assert spec is not None
    assert spec.loader is not None
    again = importlib.util.module_from_spec(spec)
    with patch.dict(sys.modules, {**stand_ins, spec.name: again}):
        spec.loader.exec_module(again)
    return again
