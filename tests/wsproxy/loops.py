"""Which inner loops there are to test."""

from __future__ import annotations

import pytest

from easews_wsproxy.relay.compiled import COMPILED

LOOPS = ["compiled", "pure"] if COMPILED else ["pure"]

#: For tests of what is done with sockets only, or that time how a peer's socket is read.
plain_only = pytest.mark.parametrize("relaying", LOOPS, indirect=True)
