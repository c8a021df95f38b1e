"""What the listeners of one HTTPServer serve: a router in front of a generation's pipelines.

Swapped as a whole at a reload: a request sees either the old one or the new one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from ..config.model import ServerSpec
from ..filters import Context
from ..observe.accesslog import AccessLog
from ..pipeline import Generation
from ..services import Services
from ..sessions import Sessions
from .idle import IdleConnections
from .routing import Router
from .tls import ServerTls


class RequestIds:
    """Ids that are unique in this process, and nearly certainly among all.

    Each process makes its own: forked ones would otherwise all issue the same.
    """

    def __init__(self) -> None:
        self._prefix = os.urandom(4).hex()
        self._numbers = count(1)

    def new(self) -> str:
        """The next id."""
        return f"{self._prefix}-{next(self._numbers):x}"


@dataclass(slots=True)
class Site:
    """`stopping`: connections end after the request that they are at. `leaving`: so they do, since
    another process accepts in place of this one. `plain`: a connection is
    HTTP from its first byte, and every client may have one more. `on_begin` hear of each request
    before its pipeline runs. `idle` has the connections without a request, where these are to make
    room for new ones.
    """

    spec: ServerSpec
    generation: Generation
    services: Services
    sessions: Sessions
    access: AccessLog
    ids: RequestIds
    router: Router
    tls: ServerTls | None = None
    plain: bool = field(init=False)
    stopping: bool = False
    leaving: bool = False
    on_begin: Sequence[Callable[[Context], None]] = ()
    idle: IdleConnections | None = None

    def __post_init__(self) -> None:
        spec = self.spec
        self.plain = not (
            spec.proxy_protocol or spec.tls or spec.max_connections_per_client is not None
        )
