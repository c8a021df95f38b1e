"""The course of a handover, as the side sees it that gives: to its end, or back to its start."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from socket import socket
from typing import Generic, Protocol, TypeVar

from anyio import CancelScope

from ...config.model import ServerSpec
from ...net.channel import Channel
from ...server.binding import UnixListener
from .link import Link, Listening
from .protocol import HandoverFault, Message, OtherGone, Place

log: logging.Logger = logging.getLogger("easews")

#: Seconds that the other process has to end once it has closed its end of the channel.
END_PATIENCE = 5.0

L = TypeVar("L", bound=Link)


class Side(Protocol):
    """What is handed over: that of this process, or of its workers.

    moved  how many sessions the other process has taken
    kept   how many it has not
    """

    @property
    def moved(self) -> int: ...

    @property
    def kept(self) -> int: ...

    async def give(self, link: Link, ready: Message) -> None:
        """Hand over everything that can move, to a process that is `ready`.

        HandoverFault, OSError or TimeoutError when that fails.
        """

    async def take_back(self, last: Iterable[Message]) -> None:
        """Go on with what has not been taken, and accept again. The other process takes nothing
        more; these were its last messages.
        """

    def leave(self) -> None:
        """Keep what has not been taken, without accepting."""

    async def tell_of_the_rest(self, link: Link) -> None:
        """Tell the other process how many sessions are left here, until cancelled."""


class Whole(Side, Listening, Protocol):
    """The side of a whole process."""


def placed(spec: ServerSpec, sockets: Iterable[socket]) -> Iterator[tuple[Place, socket]]:
    """The listening sockets of a server, each with its place."""
    for sock in sockets:
        owns_file = isinstance(sock, UnixListener) and sock.owns_file
        yield Place(spec.name, spec.address, spec.port, owns_file), sock


def lost_with(moved: int) -> str:
    """What to say of a new process that has ended: it had so many sessions by then."""
    return f"; {moved} sessions had moved, and are lost with it" if moved else ""


class Handover(Generic[L]):
    """Hands `side` over to the process that `begin` returns a link to."""

    def __init__(self, side: Side, begin: Callable[[], Awaitable[L]]) -> None:
        self.side: Side = side
        self._begin = begin

    async def run(self, serves: Callable[[L], None]) -> L:
        """Hand over; the other process has everything that can move when this returns.

        `serves` is called when it serves. HandoverFault when it has failed: then this side goes on
        with what it has, and accepts again.
        """
        link = await self._begin()
        try:
            ready = await link.ready()
            serves(link)
            await self.side.give(link, ready)
        except (HandoverFault, OSError, TimeoutError) as error:
            raise await self._take_back(link, error) from None
        except Exception:  # a fault in either program, which is no reason to lose a session
            log.exception("the upgrade has failed")
            fault = HandoverFault("the two programs do not fit together; the log says more")
            raise await self._take_back(link, fault) from None
        except BaseException:
            with CancelScope(shield=True):
                await link.stop()
                self.side.leave()
                link.channel.close()
            raise
        return link

    async def _take_back(self, link: Link, error: Exception) -> HandoverFault:
        """Go on with everything that the other process has not taken. Returns what was wrong."""
        with CancelScope(shield=True):
            is_late = isinstance(error, TimeoutError) and not error.errno
            is_gone = isinstance(error, (OtherGone, OSError)) and not is_late
            problems = getattr(error, "problems", ())  # of one that ends by itself
            how = await link.end(END_PATIENCE if is_gone or problems else 0)
            await self.side.take_back(await _last_messages(link.channel))
            link.channel.close()
        why = "it does not answer" if is_late else str(error)
        return HandoverFault(f"{why} ({how})" if how and not problems else why, problems)


async def _last_messages(channel: Channel) -> list[Message]:
    """What the other process had written by the time that it ended."""
    channel.cut()  # others may have its end, too
    messages: list[Message] = []
    try:
        while (message := await channel.receive()) is not None:
            messages.append(message)
    except (OSError, ValueError):
        pass  # cut off in the middle of one
    return messages
