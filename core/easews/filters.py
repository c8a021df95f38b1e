"""The contract between the engine and its filters.

A filter is a class. Its class attributes say what it is (`kind`), what its config looks like
(`schema`) and how it can end (`results`); an instance is made for each entry of a pipeline's
`filters`, entered once, and then handles one `Context` after the other, many at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from types import TracebackType
from typing import Any, ClassVar, NamedTuple, Self

from .http import Request, Response
from .networks import Network
from .services import Service, Services
from .sessions import Sessions
from .upgrade import Upgrade

#: The result of a filter that raised, or broke the contract. Every kind has it.
INTERNAL_ERROR = "internalError"
#: The target that ends a flow.
END = "END"


class Route(NamedTuple):
    """How the request came to its pipeline: names from the config, for logs and filters."""

    server: str = ""
    path: str = ""
    pipeline: str = ""
    trusted_proxies: tuple[Network, ...] = ()


_NO_ROUTE = Route()


class SpecFault(NamedTuple):
    """A fault in a filter's spec: `path` leads to it, as in ``("pools", 0, "servers")``."""

    path: Sequence[str | int]
    wrong: str
    accepted: str = ""


class Context:
    """One request on its way through a pipeline.

    `id` names the request in logs, `data` holds the pipeline's static values, `state` is for
    filters to leave something for later filters. `forwarded` tells that a filter has already
    decided on the X-Forwarded-* headers of the onward request.
    """

    def __init__(
        self,
        request: Request,
        *,
        id: str = "",
        route: Route = _NO_ROUTE,
        data: Mapping[str, Any] | None = None,
        services: Services | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        self.request = request
        self.id = id
        self.route = route
        self.data: Mapping[str, Any] = {} if data is None else data
        self.services = Services() if services is None else services
        self.sessions = Sessions() if sessions is None else sessions
        self.state: dict[str, Any] = {}
        self.forwarded = False
        self.backend = ""
        self.trace: list[tuple[str, str]] = []
        self.routed_results: frozenset[str] = frozenset()
        self._response: Response | Upgrade | None = None

    @property
    def response(self) -> Response | Upgrade | None:
        """The answer so far. Setting another closes the one that it replaces."""
        return self._response

    @response.setter
    def response(self, response: Response | Upgrade | None) -> None:
        if not (response is None or isinstance(response, (Response, Upgrade))):
            kind = type(response).__name__
            raise TypeError(f"ctx.response is a Response, an Upgrade or None, and no {kind}")
        previous, self._response = self._response, response
        if previous is not None and previous is not response:
            previous.close()

    def routes(self, result: str) -> bool:
        """Whether the flow says where to go when the current filter ends with `result`."""
        return result in self.routed_results


class Filter:
    """Base class of filters. Subclass it, name it in your package's entry point, done.

    `kind` is the name in configs. `schema` is a JSON Schema (draft 2020-12) of the filter's
    own fields, or the name of a file in your package's folder `schemas`. `results` are the
    strings that `handle` may return besides None. `services` are the services that it uses.
    `unbounded_body` tells that whatever the client sends is for this filter to limit, so a path
    that leads here must have `clientMaxBodySize: -1`. `trusted_field` is the field that lists the
    proxies whose word this filter takes, if it has one: they have to be among the server's
    `trustedProxies`. `build_note` tells users what differs between installations of the package,
    such as a part that is compiled only where a compiler was; `easews kinds`, `run` and
    `--version` print it. The docstring's first line is the summary that `easews kinds` prints.
    """

    kind: ClassVar[str]
    schema: ClassVar[Mapping[str, Any] | str] = {"type": "object", "properties": {}}
    results: ClassVar[Sequence[str]] = ()
    services: ClassVar[Sequence[type[Service]]] = ()
    unbounded_body: ClassVar[bool] = False
    trusted_field: ClassVar[str] = ""
    build_note: ClassVar[str] = ""

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        """The faults of a spec that the schema cannot tell, such as two fields that disagree.

        `easews validate` reports them with their place. `spec` is as for `__init__`.
        """
        return ()

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        """`spec` is valid and complete: defaults filled in, seconds and bytes as numbers."""
        self.name = name
        self.spec = spec

    async def handle(self, ctx: Context) -> str | None:
        """Do this filter's part: read and change `ctx.request`, or set `ctx.response`.

        Return None (or "") to go on, or one of `results`; the flow's `jumpIf` says where that
        leads, and without one it ends the flow. Never block: await, or use a thread.

        Setting `ctx.response` does not end the flow. A filter whose answer is meant to be the
        last word returns a result; after None the filters behind it are asked, as those that
        change an answer have to be. So a filter that answers leaves an answer alone that is
        there already, as WebSocketProxy does.
        """
        raise NotImplementedError

    def inherit(self, previous: Self) -> None:
        """Take over what is worth keeping from the instance that this one replaces at a reload."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


def schema_of(filter_class: type[Filter]) -> dict[str, Any]:
    """The filter's JSON Schema as a dict, read from its package when it names a file.

    OSError, ValueError or ModuleNotFoundError when that file is missing or is no JSON.
    """
    schema = filter_class.schema
    if isinstance(schema, str):
        package = filter_class.__module__.partition(".")[0]
        text = (resources.files(package) / "schemas" / schema).read_text("utf-8")
        loaded = json.loads(text)
        if not isinstance(loaded, dict):
            raise ValueError(f"{schema} holds no JSON object")
        return loaded
    return dict(schema)


def summary_of(filter_class: type[Filter]) -> str:
    """The first line of the filter's docstring."""
    return (filter_class.__doc__ or "").strip().partition("\n")[0]
