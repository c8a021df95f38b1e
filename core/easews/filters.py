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
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, cast

from .http import Request, Response
from .services import Service, Services
from .sessions import Route, Sessions, Upgrade

#: The version of the contract that this engine offers to filters.
API = 1
#: The result of a filter that raised, or broke the contract. Every kind has it.
INTERNAL_ERROR = "internalError"
#: The target that ends a flow.
END = "END"

_NO_ROUTE = Route()


class SpecFault(NamedTuple):
    """A fault in a filter's spec: `path` leads to it, as in ``("pools", 0, "servers")``."""

    path: Sequence[str | int]
    wrong: str
    accepted: str = ""


T = TypeVar("T")


class Notes:
    """What filters leave for later ones: one value of each class.

    A filter makes a class of its own for what it has to say, so that no two filters can mean
    different things by one name::

        ctx.notes.put(Tenant("acme"))
        ctx.notes[Tenant].name
    """

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[type, object] = {}

    def put(self, value: object) -> None:
        """Leave `value`, in place of an earlier one of its class."""
        self._values[type(value)] = value

    def get(self, kind: type[T]) -> T | None:
        """The value of this class, or None."""
        return cast("T | None", self._values.get(kind))

    def __getitem__(self, kind: type[T]) -> T:
        """The value of this class. LookupError when no filter has left one."""
        try:
            return cast(T, self._values[kind])
        except KeyError:
            raise LookupError(
                f"no filter has left a note of class {kind.__name__}: the one that does has to "
                "stand in front of this one in the flow"
            ) from None

    def __contains__(self, kind: object) -> bool:
        return kind in self._values


class Context:
    """One request on its way through a pipeline.

    `id` names the request in logs, `data` holds the pipeline's static values. `notes` are for
    filters to leave something for later filters, `labels` (user, tenant …) say whose request
    this is: the log shows them, and sessions are found by them. `backend` names the server that
    was asked, for the log. `forwarded` tells that a filter has already decided on the
    X-Forwarded-* headers of the onward request. `trace` are the steps that were taken, each with
    its result.
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
        self.request: Request = request
        self.id: str = id
        self.route: Route = route
        self.data: Mapping[str, Any] = {} if data is None else data
        self.services: Services = Services() if services is None else services
        self.sessions: Sessions = Sessions() if sessions is None else sessions
        self.notes: Notes = Notes()
        self.labels: dict[str, str] = {}
        self.forwarded: bool = False
        self.backend: str = ""
        self.trace: list[tuple[str, str]] = []
        self.routed_results: frozenset[str] = frozenset()
        # The engine's: the step that is at work, answers to be closed, filters to ask `on_answer`.
        self.step: str = ""
        self.replaced: list[tuple[str, Response | Upgrade]] = []
        self.entered: list[tuple[str, Filter]] = []
        self._response: Response | Upgrade | None = None
        self._answered_by = ""

    @property
    def response(self) -> Response | Upgrade | None:
        """The answer so far. One that is replaced is closed after the step that replaced it."""
        return self._response

    @response.setter
    def response(self, response: Response | Upgrade | None) -> None:
        if not (response is None or isinstance(response, (Response, Upgrade))):
            kind = type(response).__name__
            raise TypeError(f"ctx.response is a Response, an Upgrade or None, and no {kind}")
        previous, self._response = self._response, response
        if previous is not None and previous is not response and previous.held:
            self.replaced.append((self._answered_by, previous))
        self._answered_by = self.step

    @property
    def answered_by(self) -> str:
        """The step that has set `response`; empty when that was the engine, or nobody."""
        return self._answered_by

    def routes(self, result: str) -> bool:
        """Whether the flow says where to go when the current filter ends with `result`."""
        return result in self.routed_results


class Filter:
    """Base class of filters. Subclass it, name it in your package's entry point, done.

    Its class attributes say what a filter is:

    kind            the name in configs
    schema          a JSON Schema (draft 2020-12) of the filter's own fields, or the name of a
                    file in your package's folder `schemas`
    results         the strings that `handle` may return besides None
    services        the services that it uses
    sees_answers    whether it is also asked when there is an answer already
    unbounded_body  whether it limits by itself what a client sends, so that a path that leads
                    here must have ``clientMaxBodySize: -1``
    trusted_field   the field that lists the proxies whose word this filter takes, if it has
                    one: they have to be among the server's `trustedProxies`
    build_note      what differs between installations of the package, such as a part that is
                    compiled only where a compiler was; `easews kinds`, `run` and `--version`
                    print it
    api             the version of this contract that it was written for

    The docstring's first line is the summary that `easews kinds` prints. An instance lives as
    follows:

    1. `check(spec)` is asked by `easews validate` for what the schema cannot tell.
    2. ``__init__(name, spec)`` makes one instance for each entry of a pipeline's `filters`. It
       may raise; nothing is served yet.
    3. `inherit(previous)`, only at a reload that has changed the entry's spec: `previous` is
       still entered, and keeps its own requests and sessions. An entry whose spec is equal keeps
       its instance instead, and nothing here is called.
    4. ``__aenter__`` runs in a task of the instance's own; the services are running. When it
       raises, the config is not served, and an earlier one stays in place.
    5. `handle(ctx)` for each request, many at a time. A filter is passed over once there is an
       answer, unless it says `sees_answers` or a `jumpIf` of the flow has led to it.
    6. `on_answer(ctx)` when the flow is over, for each filter whose `handle` was entered, the
       last one first. The answer may be a filter's, or the engine's own (such as 503 or 504).
    7. ``__aexit__`` in the same task as ``__aenter__``, when no config names the instance any
       more and the last request and session that it has taken part in are over.
    """

    kind: ClassVar[str]
    schema: ClassVar[Mapping[str, Any] | str] = {"type": "object", "properties": {}}
    results: ClassVar[Sequence[str]] = ()
    services: ClassVar[Sequence[type[Service]]] = ()
    sees_answers: ClassVar[bool] = False
    unbounded_body: ClassVar[bool] = False
    trusted_field: ClassVar[str] = ""
    build_note: ClassVar[str] = ""
    api: ClassVar[int] = API

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        """The faults of a spec that the schema cannot tell, such as two fields that disagree.

        `easews validate` reports them with their place. `spec` is as for `__init__`.
        """
        return ()

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        """`spec` is valid and complete: defaults filled in, seconds and bytes as numbers."""
        self.name: str = name
        self.spec: Mapping[str, Any] = spec

    async def handle(self, ctx: Context) -> str | None:
        """Do this filter's part: read and change `ctx.request`, or set `ctx.response`.

        Return None (or "") to go on, or one of `results`; the flow's `jumpIf` says where that
        leads, and without one it ends the flow. Once `ctx.response` is set, the filters behind
        are passed over, but for those that say `sees_answers` and the one that a `jumpIf` leads
        to; setting it to None takes the answer back. Never block: await, or use a thread.
        """
        raise NotImplementedError

    async def on_answer(self, ctx: Context) -> None:
        """Change the answer, `ctx.response`, on its way out: its headers, or all of it.

        So a filter in front of a proxy reaches the proxy's answer. It is not called when the
        client has left. When it raises, the answer is a 500 in place of the one there was.
        """

    def inherit(self, previous: Filter) -> None:
        """Take over what is worth keeping from the instance that this one replaces.

        That is an instance of the same kind; where the class may have changed (a plugin under
        development), check its type.
        """

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
