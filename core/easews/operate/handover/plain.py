"""What the engine knows of a session, as plain data. Pure.

Change `VERSION` with anything that changes what the data means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...addresses import Peers
from ...services import Service
from ...sessions import Opening, Route

VERSION = 1
#: Under this name the engine's own version stands among those of services.
ENGINE = "easews"


def opening_written(opening: Opening) -> dict[str, Any]:
    """An opening in what JSON has, without what the new process knows better."""
    fields = opening._asdict()
    del fields["generation"], fields["taken_over"]
    route = opening.route._asdict()
    del route["trusted_proxies"]
    return {**fields, "route": route, "labels": dict(opening.labels)}


def route_of(opening: Mapping[str, Any], trusted_proxies: tuple[Peers, ...] = ()) -> Route:
    """The route of an opening that was written."""
    return Route(**opening["route"], trusted_proxies=trusted_proxies)


def opening_read(opening: Mapping[str, Any], route: Route, generation: int) -> Opening:
    """The opening again, in this generation of the new process."""
    here = {"route": route, "generation": generation, "taken_over": True}
    return Opening(**{**opening, **here})


def name_of(service: Service | type[Service]) -> str:
    """What a service is called in messages."""
    kind = service if isinstance(service, type) else type(service)
    return f"{kind.__module__}.{kind.__qualname__}"


def movers(services: Iterable[object]) -> dict[str, Service]:
    """The services that can hand sessions over, by name."""
    found = (it for it in services if isinstance(it, Service) and it.state_version)
    return {name_of(service): service for service in found}


def versions(services: Mapping[str, Service]) -> dict[str, int]:
    """The versions of the states that this process writes and understands."""
    return {ENGINE: VERSION, **{name: it.state_version for name, it in services.items()}}
