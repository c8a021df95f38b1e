"""The inner loop, and what is done with payloads: compiled where that was built, else in Python.

EASEWS_PURE=1 in the environment chooses the latter.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .framestate import FrameState
    from .loop import Loop
    from .masking import apply_mask, is_ascii, keep_freed_memory, lengthen, payload_of

    COMPILED: bool
else:
    try:
        if os.environ.get("EASEWS_PURE") == "1":
            raise ImportError
        from ._loop import (
            FrameState,
            Loop,
            apply_mask,
            is_ascii,
            keep_freed_memory,
            lengthen,
            payload_of,
        )
    except ImportError:
        from .framestate import FrameState
        from .loop import Loop
        from .masking import apply_mask, is_ascii, keep_freed_memory, lengthen, payload_of

        COMPILED = False
    else:
        COMPILED = True

__all__ = [
    "COMPILED",
    "FrameState",
    "Loop",
    "apply_mask",
    "is_ascii",
    "keep_freed_memory",
    "lengthen",
    "payload_of",
]
