"""Requests to the servers of a pool, each sent once more where that does no harm."""

from __future__ import annotations

from functools import partial

from ...errors import BadAnswer, ConnectError, UpstreamError
from ..attempts import Attempt
from ..dialling.dial import dial
from .keeping import KeepLimits
from .kept import KeptConnections
from .roundtrip import Onward, RoundTrip, Timeouts, Unanswered


class Client:
    """Sends requests to the servers of a pool over connections that are kept."""

    def __init__(self, timeouts: Timeouts, limits: KeepLimits) -> None:
        self._timeouts = timeouts
        self._limits = limits

    async def ask(self, kept: KeptConnections, attempt: Attempt, request: Onward) -> RoundTrip:
        """Send `request` to the attempt's server; the result has the head of its answer.

        ConnectError when there was no answer and another server may be asked; UpstreamTimeout,
        or BadAnswer, otherwise. MessageError when the client's body cannot be read on.

        A server may close a kept connection in the moment in which it is used again. So what may
        be sent once more is, on another connection.
        """
        server = attempt.server
        while True:
            # What was announced as a client's connection is nobody else's.
            request.single = request.single or bool(server.via.announces)
            wire = None if server.via.announces else kept.take(attempt.standing)
            reused = wire is not None
            if wire is None:
                wire = await dial(server, self._timeouts.connect, request.source)
            keep = partial(kept.give, attempt.standing, limits=self._limits)
            trip = RoundTrip(wire, request, self._timeouts, kept.uploads, keep, attempt.over)
            try:
                await trip.run()
                return trip
            except Unanswered as error:
                wire.close()
                if not request.repeatable:
                    raise BadAnswer(f"{server.url}: {error}") from None
                if not reused:
                    raise ConnectError(f"{server.url}: {error}") from None
            except BaseException as error:
                wire.close()
                if isinstance(error, UpstreamError):
                    raise type(error)(f"{server.url}: {error}") from None
                raise
