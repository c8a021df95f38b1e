"""Who takes over, as the one who hands over has it: heard, and ended when that fails."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from socket import socket
from typing import Protocol

import anyio

from ...net.channel import Channel, pair
from ...upstream.balance.sticky import our_secret
from ...upstream.drained import drained_servers
from . import protocol
from .protocol import HandoverFault, Kind, Message, Place, expect
from .starting import Successor

#: Seconds that the new process has until it serves: it reads the config and starts filters.
START_PATIENCE = 120.0
#: Seconds that one of its workers has until it says that it takes over.
READY_PATIENCE = 10.0

Start = Callable[[socket], Awaitable[Successor]]


class Listening(Protocol):
    """Listening sockets for the new process. `several`: several workers hand over to it, and each
    of them does so by itself.
    """

    several: bool

    def places(self) -> Iterable[tuple[Place, socket]]:
        """The sockets, each with its place."""


class Link:
    """A channel to a process that takes over. Another process has started that."""

    def __init__(self, channel: Channel) -> None:
        self.channel: Channel = channel
        self.pids: list[int] = []  # of processes that are ended if the upgrade fails

    async def ready(self) -> Message:
        """What it says when it takes over."""
        with anyio.fail_after(READY_PATIENCE):
            return await self._ready()

    async def _ready(self) -> Message:
        while True:
            told = await self.channel.receive()
            message = expect(told, Kind.STARTED, Kind.READY, Kind.REFUSED)
            if protocol.unless_refused(message)["is"] == Kind.READY:
                return message
            self.pids.append(message["pid"])

    async def end(self, grace: float) -> str:
        """Return when it takes nothing more, after `grace` seconds by force, and say how."""
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return ""

    async def stop(self) -> None:
        """It has to stop, as this process has, with the sessions that it has."""

    def close(self) -> None:
        """Tell it nothing more."""
        self.channel.close()


class NewProcess(Link):
    """The new process, for which `whole` is what it takes over."""

    def __init__(self, channel: Channel, successor: Successor, whole: Listening) -> None:
        super().__init__(channel)
        self.successor: Successor = successor
        self._whole = whole
        self._serves = False

    async def ready(self) -> Message:
        """See `Link`. It gets the listening sockets, and serves."""
        with anyio.fail_after(START_PATIENCE):
            await self._send_listeners()
            message = await self._ready()
        self._serves = True
        return message

    async def _send_listeners(self) -> None:
        placed = [*self._whole.places()]
        message = protocol.listeners(
            [place for place, _ in placed],
            drained_servers(),
            secret=our_secret(),
            several=self._whole.several,
        )
        await self.channel.send(message, [sock.fileno() for _, sock in placed])

    async def ask_back(self) -> int:
        """Have the new process, a helper, hand everything back. Returns the end of a channel by
        which the program that this process becomes takes over. OSError or HandoverFault when it
        cannot.
        """
        await self.channel.send(protocol.back())
        answer = expect(await self.channel.receive(), Kind.CHANNEL)
        descriptor: int = answer["fds"][0]
        return descriptor

    async def end(self, grace: float) -> str:
        """See `Link`. It ends before its workers, which it would start again."""
        how = await self.successor.end(grace)
        await super().end(0)
        return how

    async def stop(self) -> None:
        """See `Link`."""
        if self._serves:
            self.successor.send_signal(signal.SIGTERM)
            self.successor.leave()
        else:
            await self.end(0)


async def started(start: Start, whole: Listening) -> NewProcess:
    """Start the new process. HandoverFault when it cannot be started."""
    try:
        ours, theirs = pair()
        with theirs:
            try:
                return NewProcess(Channel(ours), await start(theirs), whole)
            except BaseException:
                ours.close()
                raise
    except OSError as error:  # such as that there is no room for another open file
        raise HandoverFault(f"it cannot be started: {error}") from None
