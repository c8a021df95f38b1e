"""TLS handshakes in progress: each has its time, and there are only so many at once."""

from __future__ import annotations

from collections import Counter

from anyio import CancelScope, current_time

from ...net.tls import TlsWire
from ...net.tlshandshake import TOO_SLOW, agree


class Handshakes:
    """At most `limit` at a time, each of at most `timeout` seconds.

    With one more the oldest is given up. Waiting for a place instead would let a few clients that
    never finish keep everybody else out.

    counts  how many were agreed on, and how many failed
    """

    def __init__(self, limit: int, timeout: float) -> None:
        self._limit = limit
        self._timeout = timeout
        self.counts: Counter[str] = Counter(agreed=0, failed=0)
        self._running: dict[CancelScope, None] = {}

    async def run(self, wire: TlsWire) -> None:
        """OSError with the reason when it fails, TimeoutError when it takes too long."""
        running = self._running
        if len(running) >= self._limit:
            oldest = next(iter(running))
            del running[oldest]
            oldest.cancel()
        with CancelScope(deadline=current_time() + self._timeout) as scope:
            running[scope] = None
            try:
                return await agree(wire)
            finally:
                had_place = scope in running
                running.pop(scope, None)
        if had_place:
            raise TimeoutError(TOO_SLOW.format(self._timeout))
        raise TimeoutError("it was the oldest of too many handshakes")
