"""The inner loop: the compiled one where it was built, else the one in Python.

EASEWS_PURE=1 in the environment chooses the latter.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .framestate import Lane
    from .loop import Batch

    COMPILED: bool
else:
    try:
        if os.environ.get("EASEWS_PURE") == "1":
            raise ImportError
        from ._batch import Batch, Lane
    except ImportError:
        from .framestate import Lane
        from .loop import Batch

        COMPILED = False
    else:
        COMPILED = True

__all__ = ["COMPILED", "Batch", "Lane"]
