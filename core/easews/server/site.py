"""What the listeners of one HTTPServer serve: a router in front of a generation's pipelines.

Swapped as a whole at a reload: a request sees either the old one or the new one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import count

from ..config.model import ServerSpec
from ..observe.accesslog import AccessLog
from ..pipeline.generation import Generation
from ..services import Services
from ..sessions import Sessions
from .routing.router import Router


@dataclass(slots=True)
class Site:
    """`stopping`: connections end after the request that they are at."""

    spec: ServerSpec
    generation: Generation
    services: Services
    sessions: Sessions
    access: AccessLog
    router: Router = field(init=False)
    stopping: bool = False

    def __post_init__(self) -> None:
        self.router = Router(self.spec)


_prefix = os.urandom(4).hex()
_numbers = count(1)


def new_request_id() -> str:
    """Unique in this process, and nearly certainly among all."""
    return f"{_prefix}-{next(_numbers):x}"
