"""A worker: one of several processes that serve the same config on the same sockets.

Its parent started it, and tells it over a channel what to serve and when to stop. Nothing but
what it was sent is shared with other workers: it is a program started anew, not a fork.

It ignores SIGINT, SIGHUP and SIGUSR2, which its parent has blocked: terminals and service managers
send signals to all processes, and the parent says what is to be done about these. SIGTERM stops
it, as does the end of its parent.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import mmap
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread
from anyio.streams.memory import MemoryObjectReceiveStream

from ...errors import EasewsError
from ...net.channel import Channel, of_descriptor
from ...net.contexts import pass_over_garbled_names
from ...observe.logs import writing_logs
from ...plugins import Kinds, discover
from ...server import Share
from ...upstream.balance.sticky import use_secret
from ...upstream.drained import keep_drained
from ..announcing import announcement
from ..apart import ReadingFailed
from ..controlling import GatewayControl
from ..descriptors import raise_limit
from ..eventloop import FAILED, collect_garbage_less_often, run_loop
from ..handover.inworker import Moves
from ..process import serve
from ..reloading import Reloader
from ..serving.binding import close_all
from ..serving.gateway import Gateway
from ..serving.taskgroups import open_task_group
from ..signalling import ignore_from_now_on
from .calls import Answerer, Handler
from .dividing import divided
from .offer import Layout, received

if TYPE_CHECKING:
    from ..metrics import Metrics

log: logging.Logger = logging.getLogger("easews")

_CODE = "import sys; sys.path[:] = {path!r}; from easews.operate.workers.worker import main; main()"
#: What other processes may ask of the gateway in this one.
_ASKED = (
    *("status", "config", "pools", "sessions", "session", "close", "ping"),
    *("drain_server", "undrain_server", "tap", "state"),
)


@dataclass(frozen=True, slots=True)
class WorkerArguments:
    """The command line of a worker, as JSON.

    number      its number, from 1
    place       where its count of connections is
    count       how many workers there are
    backend     the event loop
    log_format  how its log is written
    channel     the descriptor of its end of the channel
    measures    whether somebody may ask for metrics
    shared      that of the file that all workers share: the counts of their connections, and the
                lock by which they take turns in writing the log
    """

    number: int
    place: int
    count: int
    backend: str
    log_format: str
    channel: int
    shared: int
    measures: bool = False

    def command(self) -> list[str]:
        """The command that starts it."""
        return [sys.executable, "-c", _CODE.format(path=sys.path), json.dumps(asdict(self))]


def counts_in(shared: int) -> memoryview[int]:
    """The numbers of open connections in the file that all workers share."""
    return memoryview(mmap.mmap(shared, 0)).cast("q")


def main() -> None:
    """Run the worker that the command line describes."""
    arguments = WorkerArguments(**json.loads(sys.argv[1]))
    faulthandler.enable()  # a worker that hangs is ended by SIGABRT: this writes where it hangs
    pass_over_garbled_names()
    with writing_logs(arguments.log_format, worker=arguments.number, turns=arguments.shared):
        status = run_loop(_work, arguments, backend=arguments.backend)
    sys.exit(status)


class Orders:
    """When to stop, as the signals that a gateway's end waits for.

    A worker is told by its parent, by SIGTERM, and by the end of its parent, often by several of
    these at once. So only the parent can have it hurry; SIGTERM can when the parent is gone.
    """

    def __init__(self) -> None:
        self.signals: MemoryObjectReceiveStream[signal.Signals]
        self._put, self.signals = anyio.create_memory_object_stream[signal.Signals](inf)
        self._is_told = False
        self._is_orphan = False

    def stop(self) -> None:
        """Stop, if that has not begun."""
        if not self._is_told:
            self.hurry()

    def hurry(self) -> None:
        """Stop, or stop faster."""
        self._is_told = True
        self._put.send_nowait(signal.SIGTERM)

    def close(self) -> None:
        """Nobody waits for them any more."""
        self._put.close()
        self.signals.close()

    def parent_is_gone(self) -> None:
        """Stop: nobody will say any more what to do."""
        log.warning("the process that has started this worker is gone, so it stops")
        self._is_orphan = True
        self.stop()

    async def listen(self) -> None:
        """Take SIGTERM, until cancelled."""
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            async for _ in signals:
                if self._is_orphan:
                    self.hurry()
                else:
                    self.stop()


async def _work(arguments: WorkerArguments) -> int:
    """Serve what the parent sends; the exit status."""
    channel = of_descriptor(arguments.channel)
    try:
        order = await channel.receive()
        if order is None:
            return FAILED
        try:
            secret, generation, layout, drained = order["args"]
            use_secret(bytes.fromhex(secret))
            keep_drained(drained)
            worker = _Worker(arguments, channel, generation, layout, order["fds"])
            return await worker.serve(order["id"])
        except EasewsError as error:
            await channel.send({"id": order["id"], "error": str(error), "sort": ""})
            return FAILED
    finally:
        channel.close()


class _Worker:
    """The gateway of this process, and what it is told."""

    def __init__(
        self,
        arguments: WorkerArguments,
        channel: Channel,
        generation: int,
        layout: Layout,
        fds: Sequence[int],
    ) -> None:
        self._arguments = arguments
        self._channel = channel
        self._orders = Orders()
        self._kinds: Kinds = discover(checks_schemas=False)  # the parent has
        config, sockets = received(layout, fds, self._kinds)
        config = divided(config, arguments.number, arguments.count)
        collect_garbage_less_often()
        raise_limit(config)
        share = Share(counts_in(arguments.shared), arguments.place)
        self._gateway = Gateway(config, sockets, share, generation)
        self._moves = Moves(self._gateway)

    async def serve(self, started: int) -> int:
        """Serve until told to stop; when it serves, the parent gets its answer to `started`."""

        async def until_told_to_stop() -> None:
            lines = [*announcement(self._gateway)]
            with suppress(OSError):  # the parent is gone, which ends `_obey`
                await self._channel.send({"id": started, "result": lines})
            await anext(self._orders.signals)

        with closing(self._orders):
            async with open_task_group() as tasks:
                tasks.start_soon(self._orders.listen)
                try:
                    status = await serve(
                        *(self._gateway, self._orders.signals, until_told_to_stop),
                        [self._moves.run, self._obey],
                        self._moves.tell_of_the_rest,
                    )
                finally:
                    tasks.cancel_scope.cancel()
        ignore_from_now_on(signal.SIGTERM)
        return status

    async def _obey(self, gateway: Gateway) -> None:
        if self._arguments.measures:
            from ..metrics import measuring  # with prometheus_client, which others do not need

            async with measuring(gateway, {}) as metrics:
                await Answerer(self._channel, self._handlers(metrics)).run()
        else:
            await Answerer(self._channel, self._handlers(None)).run()
        self._orders.parent_is_gone()

    def _handlers(self, metrics: Metrics | None) -> Mapping[str, Handler]:
        backend, gateway = self._arguments.backend, self._gateway
        control = GatewayControl(
            gateway, Reloader(_not_here), backend, metrics, follows=self._moves
        )

        async def metrics_text() -> str:
            return (await control.metrics()).decode()

        handlers: dict[str, Handler] = {name: getattr(control, name) for name in _ASKED}
        told: dict[str, Handler] = {
            "replace": self._replace,
            "stop": self._stop,
            "retire": self._retire,
            "hurry": self._hurry,
            "alive": self._alive,
            "hand_over": self._moves.hand_over,
            "take_over": self._moves.take_over,
            "go_on": self._moves.go_on,
        }
        return {**handlers, **told, "metrics": metrics_text}

    async def _replace(self, generation: int, layout: Layout, fds: Sequence[int]) -> None:
        config, sockets = await to_thread.run_sync(received, layout, fds, self._kinds)
        config = divided(config, self._arguments.number, self._arguments.count)
        try:
            await self._gateway.replace(config, sockets, generation)
        except BaseException:
            close_all(sockets)
            raise
        raise_limit(config)

    async def _stop(self) -> None:
        self._orders.stop()

    async def _retire(self) -> None:
        """Another process has taken its place."""
        self._gateway.leave()
        self._orders.stop()

    async def _hurry(self) -> None:
        self._orders.hurry()

    async def _alive(self, drained: Sequence[str]) -> None:
        self._gateway.drain_servers(drained)


async def _not_here() -> Any:
    raise ReadingFailed("a worker reads no config; the process that has started it does")
