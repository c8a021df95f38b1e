"""A worker's process as its parent has it: started, asked over its channel, waited for."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress

import anyio
from anyio import to_thread

from ...net.channel import Channel, pair
from ..holding import holding
from .calls import Caller
from .offer import Offer
from .worker import WorkerArguments

#: Signals that the parent answers for all workers: a terminal sends them to all processes.
_OURS = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)


class WorkerProcess:
    """A process that was started.

    offer      what it serves; None until it does
    refusal    why it cannot serve, in its own words; empty if it has not said so
    is_silent  whether it owes a sign of life
    place      that of its count of connections
    settled    is set when it serves, or has ended
    ended      is set when it has ended, and that is known everywhere; `end` says how then
    takes_place  whether it is to take the place of another process
    """

    def __init__(self, arguments_for: Callable[[int], WorkerArguments]) -> None:
        """`arguments_for` returns its arguments for the descriptor of its end of the channel."""
        ours, theirs = pair()
        with theirs:
            arguments = arguments_for(theirs.fileno())
            self.number: int = arguments.number
            self.place: int = arguments.place
            self._process = _start(arguments)
        self._channel = Channel(ours)
        self._ended = anyio.CapacityLimiter(1)  # its own: else others would wait for its thread
        self.calls: Caller = Caller(self._channel, f"worker {self.number}")
        self.offer: Offer | None = None
        self.refusal: str = ""
        self.is_silent: bool = False
        self.takes_place: bool = False
        self.end: str = ""
        self.settled: anyio.Event = anyio.Event()
        self.ended: anyio.Event = anyio.Event()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait for its end; its exit status, or minus the signal that has ended it."""
        return await to_thread.run_sync(
            self._process.wait, abandon_on_cancel=True, limiter=self._ended
        )

    def abort(self) -> None:
        """End it; before that it writes where it hangs, if it can."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGABRT)

    def kill(self) -> None:
        """End it, whatever it is doing."""
        with suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> None:
        """Close its channel, at which it stops if it has not."""
        self._channel.close()


def _start(arguments: WorkerArguments) -> subprocess.Popen[bytes]:
    with holding(*_OURS):
        return subprocess.Popen(
            arguments.command(),
            stdin=subprocess.DEVNULL,
            pass_fds=(arguments.channel, arguments.shared),
        )
