"""The server that the admin interface is: the engine's own, with one pipeline of one filter."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import MappingProxyType

from ..config import Config, Source, from_sources
from ..config.model import AdminSpec
from ..filters import Context, Filter
from ..http import Response
from ..observe.accesslog import AccessLog
from ..pipeline import Generation
from ..plugins import Kind, Kinds
from ..server import ClientWatch, RequestIds, Router, Site
from ..server.idle import IdleConnections
from ..services import Services
from ..sessions import Sessions

Answer = Callable[[Context], Awaitable[Response]]

NAME = "admin"
#: How many connections there may be. With more, the longest idle one ends: whoever takes many,
#: and asks nothing, keeps nobody out.
MOST = 256


class Unlogged(AccessLog):
    """Keeps requests of the admin interface out of the access log."""

    def request(self, *request: object, **more: object) -> None:
        """Nothing."""


def config_of(spec: AdminSpec, answer: Answer) -> Config:
    """A config whose server gives every request to `answer`."""
    server = {
        "kind": "HTTPServer",
        "name": NAME,
        "socketMode": "0600",
        "maxConnections": MOST,
        "headerTimeout": "5s",
        "keepAliveTimeout": "15s",
        "bodyTimeout": "10s",
        "rules": [{"paths": [{"backend": "api", "clientMaxBodySize": -1}]}],
        "port": 1,
    }
    pipeline = {"kind": "Pipeline", "name": "api", "filters": [{"kind": "Admin", "name": "api"}]}
    made = _kind(answer)
    text = f"{json.dumps(server)}\n---\n{json.dumps(pipeline)}"
    config = from_sources([Source(NAME, text)], Kinds([made]), {})
    own = config.servers[0]
    own = replace(own, address=spec.address, port=spec.port, place=spec.place)
    return replace(config, servers=(own,))


def _kind(answer: Answer) -> Kind:
    class Asked(Filter):
        """Answers from the table of operations."""

        kind = "Admin"

        async def handle(self, ctx: Context) -> None:
            ctx.response = await answer(ctx)

    schema = MappingProxyType({"type": "object", "properties": {}})
    return Kind("Admin", Asked, schema, "easews", "")


def site_of(config: Config, generation: Generation, services: Services) -> Site:
    """What its listener serves. Its sessions are its own: there are never any."""
    server = config.servers[0]
    return Site(
        *(server, generation, services, Sessions(), Unlogged(), RequestIds()),
        router=Router(server),
        idle=IdleConnections(),
    )


#: What has to run before it serves.
SERVICES = (ClientWatch,)
