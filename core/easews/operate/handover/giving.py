"""The old process's side of an upgrade: start the new one, and hand everything over to it."""

from __future__ import annotations

import logging
import signal
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from socket import socket
from typing import Any

import anyio
from anyio import CancelScope
from anyio.lowlevel import checkpoint

from ...net.channel import Channel, pair
from ...server import Listener
from ...server.binding import UnixListener
from ...services import Service
from ...sessions import Session
from ...upstream.drained import drained_servers
from ..gateway import Gateway
from . import plain, protocol
from .protocol import BATCH, Giver, HandoverFault, Kind, Message, Place, Settled, expect
from .starting import Successor

log: logging.Logger = logging.getLogger("easews")

#: Seconds that the new process has until it serves: it reads the config and starts filters.
START_PATIENCE = 120.0
#: Seconds that it has to take a batch. The sessions in it rest as long.
BATCH_PATIENCE = 10.0
#: Seconds that it has to end once it has closed its end of the channel.
END_PATIENCE = 1.0
#: Seconds in which clients whose connections are kept may send one more request, and handshakes
#: that are in progress may become sessions, which then move, too.
LATE_PATIENCE = 3.0
#: The same while requests are in progress: a handshake with a slow server takes no longer.
REQUEST_PATIENCE = 20.0
#: Seconds between two looks at those, and from one message about who is left to the next.
LOOK, TELL = 0.05, 1.0

Start = Callable[[socket], Awaitable[Successor]]


class Handover:
    """One upgrade of `gateway`. `start` starts the new process with an end of a channel."""

    def __init__(self, gateway: Gateway, start: Start) -> None:
        self._gateway = gateway
        self._start = start
        self._channel: Channel
        self._successor: Successor
        self._giver = Giver()
        self._services = plain.movers(gateway.services)
        self._movable: Mapping[str, Service] = {}  # those whose state the new process understands
        self._packed: dict[str, tuple[Session, Service]] = {}
        self._stay: set[str] = set()
        self._serves = False  # the new process
        self.moved: int = 0

    async def run(self, serves: Callable[[int], None]) -> Successor:
        """Hand over to a new process; it has everything that can move when this returns.

        `serves` is called with its pid when it serves. HandoverFault when it has failed: then this
        process goes on with what it has, and accepts again.
        """
        ours, theirs = pair()
        with theirs:
            self._channel = Channel(ours)
            try:
                self._successor = await self._start(theirs)
            except OSError as error:
                self._channel.close()
                raise HandoverFault(f"it cannot be started: {error}") from None
        try:
            await self._hand_over(serves)
        except (HandoverFault, OSError, TimeoutError) as error:
            raise HandoverFault(await self._take_back(error)) from None
        except Exception:  # a fault in either program, which is no reason to lose a session
            log.exception("the upgrade has failed")
            fault = HandoverFault("the two programs do not fit together; the log says more")
            raise HandoverFault(await self._take_back(fault, at_once=True)) from None
        except BaseException:
            with CancelScope(shield=True):
                await self._stop_halfway()
            raise
        return self._successor

    async def tell_of_the_rest(self) -> None:
        """Tell the new process how many sessions are left here, until cancelled."""
        try:
            while True:
                await self._channel.send(protocol.kept(len(self._gateway.sessions)))
                await anyio.sleep(TELL)
        except OSError:
            pass  # it has ended; these here go on

    def close(self) -> None:
        """Tell it nothing more."""
        self._channel.close()

    async def ask_back(self) -> int:
        """Have the new process, a helper, hand everything back. Returns the end of a channel by
        which the program that this process becomes takes over. OSError or HandoverFault when it
        cannot.
        """
        await self._channel.send(protocol.back())
        answer = expect(await self._channel.receive(), Kind.CHANNEL)
        descriptor: int = answer["fds"][0]
        return descriptor

    # What is handed over

    @property
    def _listeners(self) -> list[Listener]:
        return [*self._gateway.listeners.values(), *self._gateway.beside]

    async def _hand_over(self, serves: Callable[[int], None]) -> None:
        with anyio.fail_after(START_PATIENCE):
            await self._send_listeners()
            ready = expect(await self._channel.receive(), Kind.READY)
        self._serves = True
        self._compare(ready["states"])
        for listener in self._listeners:
            listener.pause()
        serves(self._successor.pid)
        await self._send_sessions()
        for listener in self._listeners:
            listener.leave_sockets()
        await self._channel.send(protocol.done(len(self._gateway.sessions)))

    async def _send_listeners(self) -> None:
        places: list[Place] = []
        sockets: list[socket] = []
        for listener in self._listeners:
            spec = listener.site.spec
            for sock in listener.sockets:
                owns_file = isinstance(sock, UnixListener) and sock.owns_file
                places.append(Place(spec.name, spec.address, spec.port, owns_file))
                sockets.append(sock)
        fds = [sock.fileno() for sock in sockets]
        await self._channel.send(protocol.listeners(places, drained_servers()), fds)

    def _compare(self, theirs: Mapping[str, int]) -> None:
        """Find out which services' sessions may move. What does not fit stays."""
        ours = plain.versions(self._services)
        if theirs.get(plain.ENGINE) == ours[plain.ENGINE]:
            self._movable = {
                name: it for name, it in self._services.items() if theirs.get(name) == ours[name]
            }
        if left := sorted(set(self._services) - set(self._movable)):
            log.warning(
                "the new process has another version of %s: those sessions stay, and are drained",
                ", ".join(left),
            )

    async def _send_sessions(self) -> None:
        """Batch after batch, until nothing can move. Sessions that open meanwhile follow."""
        since = anyio.current_time()
        while True:
            for batch in self._batches():
                with CancelScope(shield=True):
                    await self._send_batch(batch)
                await checkpoint()
                since = anyio.current_time()
            if any(self._batches()):
                continue  # one has opened while the last batch was on its way
            patience = REQUEST_PATIENCE if self._gateway.unfinished.requests else LATE_PATIENCE
            if not self._may_open_more() or anyio.current_time() >= since + patience:
                return
            await anyio.sleep(LOOK)

    def _may_open_more(self) -> bool:
        """Whether clients are connected that have no session yet."""
        connected = sum(listener.open for listener in self._gateway.listeners.values())
        return connected > len(self._gateway.sessions)

    def _batches(self) -> Iterator[list[Session]]:
        batch: list[Session] = []
        for session in self._gateway.sessions:
            if session.opening.id not in self._stay:
                batch.append(session)
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    async def _send_batch(self, batch: Iterable[Session]) -> None:
        described: list[Message] = []
        sockets: list[socket] = []
        for session in batch:
            packed = self._pack(session)
            if packed is not None:
                described.append(packed[0])
                sockets += packed[1]
        if not described:
            return
        number = self._giver.offer([it["opening"]["id"] for it in described])
        with anyio.fail_after(BATCH_PATIENCE):
            fds = [sock.fileno() for sock in sockets]
            await self._channel.send(protocol.batch(number, described), fds)
            answer = expect(await self._channel.receive(), Kind.TAKEN)
        self._settle(self._giver.taken(answer))

    def _pack(self, session: Session) -> tuple[Message, Sequence[socket]] | None:
        known = session.opening.id
        for name, service in self._movable.items():
            packed = service.pack(session)
            if packed is not None:
                self._packed[known] = session, service
                described: dict[str, Any] = {
                    "opening": plain.opening_written(session.opening),
                    "service": name,
                    "state": packed.state,
                    "sockets": len(packed.sockets),
                }
                return described, packed.sockets
        if self._gateway.sessions.get(known) is not None:
            self._stay.add(known)
        return None

    def _settle(self, settled: Settled) -> None:
        for known in settled.moved:
            session, service = self._packed.pop(known)
            service.forget(session)
            self.moved += 1
        for known, why in settled.back.items():
            session, service = self._packed.pop(known)
            service.resume(session)
            self._stay.add(known)
            log.warning("session %s stays in this process, and is drained: %s", known, why)

    def _settle_all(self, last: Iterable[Message]) -> None:
        """The new process gets no more, and these were its last messages."""
        self._settle(self._giver.end(last))
        while self._packed:  # before they could be offered
            _, (session, service) = self._packed.popitem()
            service.resume(session)

    # What may come in between

    async def _take_back(self, error: Exception, *, at_once: bool = False) -> str:
        """Go on with everything that the new process has not taken. Returns what was wrong.

        With `at_once` it has no time to end by itself: it may be relaying what is relayed here.
        """
        with CancelScope(shield=True):
            is_late = isinstance(error, TimeoutError) and not error.errno
            how = await self._successor.end(0 if is_late or at_once else END_PATIENCE)
            self._channel.cut()  # if it lives on, it cannot take anything any more
            self._settle_all(await self._last_messages())
            self._channel.close()
            for listener in self._listeners:
                listener.go_on()
        if is_late:
            error = HandoverFault("it does not answer")
        lost = f"; {self.moved} sessions had moved, and are lost with it" if self.moved else ""
        return f"{error} ({how}){lost}"

    async def _last_messages(self) -> list[Message]:
        """What the new process had written by the time that it ended."""
        messages: list[Message] = []
        try:
            while (message := await self._channel.receive()) is not None:
                messages.append(message)
        except (OSError, ValueError):
            pass  # cut off in the middle of one
        return messages

    async def _stop_halfway(self) -> None:
        """This process has to stop, and so does the new one. Each drains the sessions it has."""
        if self._serves:
            self._successor.send_signal(signal.SIGTERM)
            self._successor.leave()
        else:
            await self._successor.end(0)
        self._settle_all(())
        self._channel.close()
