"""The process: bind, start services and filters, serve, and stop in order.

    services        the plugins' process-wide services, each in a task of its own
    generation      the config's filters and pipelines
    listeners       one for each HTTPServer

They start in this order and stop in the opposite one. `run` is what the command line calls;
`Gateway` is the same without a process around it.
"""

from __future__ import annotations

import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from anyio.abc import TaskStatus

from .accesslog import AccessLog
from .config.model import Config, ServerSpec
from .errors import EasewsError
from .generation import Generation
from .logs import end_process, writing_logs
from .server import ClientWatch, Listener, Site, bind
from .services import Service, Services
from .sessions import Sessions

log = logging.getLogger("easews")

#: What `run` can run on: the arguments that `anyio.run` gets.
BACKENDS: Mapping[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio", "backend_options": {"use_uvloop": False}},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}

#: Seconds that open sessions and requests get to end when the process stops.
STOP_TIMEOUT = 5.0
GOING_AWAY = 1001
#: Seconds until what does not end by itself is ended with the process.
GRACE = 2.0
#: Descriptors that the process needs besides two for each connection.
_SPARE_DESCRIPTORS = 64
#: For how many connections of a server there have to be descriptors when its config names none.
_USUAL_CONNECTIONS = 1024
#: Seconds after which a stop tells what it waits for; clients that answer a Close need less.
_STOP_HINT = 0.5


def run(config: Config, *, backend: str = "asyncio", log_format: str = "text") -> int:
    """Serve `config` until SIGTERM or SIGINT; the exit status: 0, or 1 when something failed."""
    _collect_garbage_less_often()
    with writing_logs(log_format):
        try:
            sockets = bind_all(config)
        except EasewsError as error:
            print(f"easews: {error}", file=sys.stderr)
            return 1
        _raise_descriptor_limit(sum(map(_expected_connections, config.servers)))
        try:
            anyio.run(_run, Gateway(config, sockets), **BACKENDS[backend])
        except EasewsError as error:
            print(f"easews: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            pass  # before or after the time in which we listen for it
        except Exception:
            log.critical("easews has to stop", exc_info=True)
            return 1
    return 0


def _collect_garbage_less_often() -> None:
    """What is loaded by now stays, and an open session is hardly ever garbage; looking through
    them all for every few hundred new objects would take a sixth of the time of a handshake.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def bind_all(config: Config) -> dict[str, list[socket.socket]]:
    """The listening sockets of every server. ListenError when one cannot be had."""
    sockets: dict[str, list[socket.socket]] = {}
    try:
        for spec in config.servers:
            sockets[spec.name] = bind(spec)
    except BaseException:
        _close_all(sockets)
        raise
    return sockets


def _close_all(sockets: Mapping[str, list[socket.socket]]) -> None:
    for sock in [sock for socks in sockets.values() for sock in socks]:
        sock.close()


class Gateway:
    """A config being served on sockets that are already bound, by the name of their server."""

    def __init__(self, config: Config, sockets: Mapping[str, list[socket.socket]]) -> None:
        self._config = config
        self._sockets = sockets
        self._generation = Generation(config)
        self.sessions = Sessions()
        self.listeners: dict[str, Listener] = {}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve while the block runs; leaving it ends at once what `stop` has not ended.

        FilterError when a filter cannot start.
        """
        running = [service() for service in self._service_classes()]
        failure: EasewsError | None = None
        async with anyio.create_task_group() as tasks:
            stop_services: Callable[[], None] = await tasks.start(_run_services, running)
            try:
                await tasks.start(self._generation.run)
            except EasewsError as error:  # raised below: a task group would wrap it up
                failure = error
                _close_all(self._sockets)
            else:
                self._make_listeners(Services(running))
                for listener in self.listeners.values():
                    tasks.start_soon(listener.serve)
                try:
                    yield
                finally:
                    for listener in self.listeners.values():
                        listener.cut()
            finally:
                stop_services()  # they cut what is still open, which lets go of the filters
                self._generation.abandon()
        if failure is not None:
            raise failure

    async def stop(self) -> None:
        """Close every session with 1001, let requests end, and wait for both, up to 5 s."""
        for listener in self.listeners.values():
            listener.stop_accepting()
        for session in self.sessions:
            session.close(GOING_AWAY, "the gateway is stopping")
        self._generation.retire()
        with anyio.move_on_after(STOP_TIMEOUT):
            await self._generation.wait_unused()

    def _service_classes(self) -> Iterable[type[Service]]:
        """The server's own service, and those that the config's filters use, each once."""
        entries = [entry for spec in self._config.pipelines for entry in spec.filters]
        wanted = [service for entry in entries for service in entry.kind.filter_class.services]
        return dict.fromkeys([ClientWatch, *wanted])

    def _make_listeners(self, services: Services) -> None:
        access = AccessLog()
        self.sessions.on_end.append(access.session_ended)
        for spec in self._config.servers:
            site = Site(spec, self._generation, services, self.sessions, access)
            self.listeners[spec.name] = Listener(self._sockets[spec.name], site)


async def _run_services(
    running: Iterable[Service], *, task_status: TaskStatus[Callable[[], None]]
) -> None:
    """Run each in a task of its own; `started` hands over what stops them all."""
    async with anyio.create_task_group() as tasks:
        for service in running:
            await tasks.start(_run_service, service)
        task_status.started(tasks.cancel_scope.cancel)


async def _run_service(service: Service, *, task_status: TaskStatus[None]) -> None:
    await service.serve(task_status.started)
    raise RuntimeError(f"the service {type(service).__name__} has ended by itself")


async def _run(gateway: Gateway) -> None:
    failure: EasewsError | None = None
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with anyio.create_task_group() as tasks:
            try:
                async with gateway.serving():
                    _announce(gateway)
                    await anext(aiter(signals))
                    stopping = anyio.CancelScope()
                    tasks.start_soon(_insist, signals, stopping)
                    tasks.start_soon(_tell_what_is_open, gateway)
                    with stopping:
                        await gateway.stop()
            except EasewsError as error:  # raised below: a task group would wrap it up
                failure = error
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _announce(gateway: Gateway) -> None:
    try:
        for name, listener in gateway.listeners.items():
            for address in listener.addresses:
                print(f"{name} listens on {_url(address.host, address.port)}", flush=True)
    except BrokenPipeError:  # nobody reads it, which is no reason not to serve
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _tell_what_is_open(gateway: Gateway) -> None:
    await anyio.sleep(_STOP_HINT)
    if count := len(gateway.sessions):
        sessions = "1 session is" if count == 1 else f"{count} sessions are"
        print(f"stopping: {sessions} open; once more ends them at once", file=sys.stderr)


async def _insist(signals: AsyncIterator[signal.Signals], stopping: anyio.CancelScope) -> None:
    """Stop at once at a second signal; and whatever a filter does, come to an end."""
    with anyio.move_on_after(STOP_TIMEOUT + GRACE):
        await anext(signals)
    stopping.cancel()
    with anyio.move_on_after(GRACE):
        await anext(signals)
    log.critical("a filter goes on although it was cancelled: the process is ended without it")
    end_process(1)


def _url(host: str, port: int) -> str:
    if host in ("::", "0.0.0.0"):
        return f"http://localhost:{port} (every interface)"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _expected_connections(spec: ServerSpec) -> int:
    if spec.expects_connections:
        return spec.max_connections
    return min(spec.max_connections, _USUAL_CONNECTIONS)


def _raise_descriptor_limit(connections: int) -> None:
    """Raise the soft limit of open files, and tell when it will not do for `connections`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS reports a hard limit that it does not take; the warning below tells.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + _SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        log.warning(
            "maxConnections needs up to %d open files, and the limit is %d: raise it (ulimit -n), "
            "or lower maxConnections",
            *(wanted, soft),
        )
