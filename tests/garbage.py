"""The collector, for tests that look at what it finds."""

from __future__ import annotations

import gc
import warnings


def collect_before() -> None:
    """Collect what earlier tests have left, such as a socket in a traceback: it is not told as
    a fault of this one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
