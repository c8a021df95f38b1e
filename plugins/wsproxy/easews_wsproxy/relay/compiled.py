"""The inner loop: the compiled one where it was built, else the one in Python.

EASEWS_PURE=1 in the environment chooses the latter.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .framestate import FrameState
    from .loop import Loop

    COMPILED: bool
else:
    try:
        if os.environ.get("EASEWS_PURE") == "1":
            raise ImportError
        from ._loop import FrameState, Loop
    except ImportError:
        from .framestate import FrameState
        from .loop import Loop

        COMPILED = False
    else:
        COMPILED = True

__all__ = ["COMPILED", "FrameState", "Loop"]
