"""Services: what a plugin keeps for the whole life of the process.

A filter instance lives as long as its generation of the config; a service (a relay, a
connection pool, a metrics sink) outlives them all. A filter class names the services that it
needs in `Filter.services`; the engine makes one of each per event loop, runs it in a task of
its own before any filter is entered, and stops it after the last session has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar, cast

S = TypeVar("S", bound="Service")


class Service:
    """Base class of services. Made without arguments, inside the event loop."""

    async def serve(self, ready: Callable[[], None]) -> None:
        """Work until cancelled; call `ready` once others may use this service.

        The engine treats an exception, or a return, as the end of the process.
        """
        raise NotImplementedError


class Services:
    """The running services, looked up by class: `services[Relay]` is the relay."""

    def __init__(self, running: Iterable[Service] = ()) -> None:
        self._running = {type(service): service for service in running}

    def __getitem__(self, service: type[S]) -> S:
        try:
            return cast(S, self._running[service])
        except KeyError:
            raise LookupError(
                f"{service.__name__} is not running: a filter that uses it names it in `services`"
            ) from None

    def __iter__(self) -> Iterator[Service]:
        return iter(self._running.values())
