"""The contract between the engine and its filters.

A filter is a class. Its class attributes say what it is (`kind`), what its config looks like
(`schema`) and what `handle` may return (`results`). Each entry of a pipeline's `filters` gets an
instance, which is entered once and then handles many `Context`s at a time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from .http import Headers, Request, Response
from .messages import Message, Reads, Result
from .notes import Notes
from .services import Service, Services
from .sessions import Ending, Route, Session, Sessions, Upgrade

#: The version of the contract that this engine offers to filters.
API = 1
#: The result of a filter that raised, or broke the contract. Every kind has it.
INTERNAL_ERROR = "internalError"
#: The target that ends a flow.
END = "END"

_NO_ROUTE = Route()


class SpecFault(NamedTuple):
    """A fault in a filter's spec, which `easews validate` reports with its place in the file.

    path      where it is in the spec, as in ``("pools", 0, "servers")``
    wrong     what is wrong
    accepted  what would be accepted
    """

    path: Sequence[str | int]
    wrong: str
    accepted: str = ""


class Line(Protocol):
    """What the engine does for a filter that is at a request."""

    rests: bool

    async def inform(self, status: int, headers: Headers) -> None: ...
    def rest(self) -> None: ...
    def go_on(self) -> None: ...


class Context:
    """One request on its way through a pipeline.

    request    what the client asked for; filters change it for those behind them
    id         names the request in the log and in answers of easews' own
    route      the server, path and pipeline by which the request came here
    data       the pipeline's static values
    services   the running services: ``ctx.services[Relay]``
    sessions   the open WebSocket sessions of the process
    notes      what filters pass on to later filters
    labels     whose request this is (user, tenant …): the log shows them, and
               `Sessions.matching` finds the session by them
    forwarded  whether a filter has already written the X-Forwarded-* headers for the backend
    backend    the server that was asked, for the log
    trace      the steps that were taken, each with its result
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
        # The engine's: what filters may ask of it, the step that is at work, answers to be closed,
        # filters to ask `on_answer`,
        # those whose hooks the session will call.
        self.line: Line | None = None
        self.step: str = ""
        self.replaced: list[tuple[str, Response | Upgrade]] = []
        self.entered: list[tuple[str, Filter]] = []
        self.hooked: list[Any] = []
        self._response: Response | Upgrade | None = None
        self._answered_by = ""

    @property
    def response(self) -> Response | Upgrade | None:
        """The answer, None as long as there is none.

        An answer that is replaced is closed after the step that replaced it.
        """
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
        """The step that has set `response`; empty when the engine did, or nobody."""
        return self._answered_by

    async def inform(self, status: int, headers: Headers | None = None) -> None:
        """Send the client an interim answer at once, such as 103 Early Hints (RFC 9110 §15.2).

        Clients that speak HTTP/1.0 get none. Call it from `handle`, before there is an answer.
        ValueError for a status that is not from 102 to 199: 100 is sent by the engine when
        somebody reads the body, and 101 is an `Upgrade`.
        """
        if not 102 <= status <= 199:
            raise ValueError(f"{status} is no status of an interim answer that filters send")
        if self.line is not None and self.request.version != "1.0":
            await self.line.inform(status, Headers() if headers is None else headers)

    def rest(self) -> None:
        """Suspend the deadline of the flow until `handle` returns.

        For a filter that waits under timeouts of its own, such as a proxy.
        """
        if self.line is not None:
            self.line.rest()

    def routes(self, result: str) -> bool:
        """Whether the flow has a `jumpIf` for `result` of the current filter."""
        return result in self.routed_results


class Filter:
    """Base class of filters. Subclass it, and return the class from your plugin's hook.

    The class attributes describe the kind of filter:

    kind            the name in configs
    schema          a JSON Schema (draft 2020-12) of the filter's own fields, or the name of a
                    file in your package's folder `schemas`
    results         the strings that `handle` may return besides None
    services        the services that the filter uses
    sees_answers    whether `handle` is called even when an earlier filter has set an answer
    unbounded_body  whether the filter limits what a client sends, so that a path that leads to
                    it must have ``clientMaxBodySize: -1``
    opens_sessions  whether the filter answers with WebSocket sessions, as a proxy does: then
                    `easews validate` reports filters of messages that stand behind it
    trusted_field   the field that lists the proxies which this filter trusts, if it has one:
                    `easews validate` reports those that the server does not trust
    build_note      what differs between installations of the package, such as a part that is
                    only compiled where there is a compiler; shown by `easews kinds`, `easews run`
                    and `easews --version`
    api             the version of this contract that the filter was written for
    reads           which messages `on_message` gets; an instance may set its own in ``__init__``
    tick            seconds from one `on_tick` to the next
    hook_timeout    seconds that an async hook may take

    The first line of the docstring is the summary that `easews kinds` prints.

    An instance has two attributes:

    name  the entry's `name`
    spec  the entry's own fields, complete: defaults are filled in, durations are seconds, sizes
          are bytes

    Its life:

    1. `check(spec)`: `easews validate` and `easews run` ask for faults that the schema cannot
       express.
    2. ``__init__(name, spec)`` is called once for each entry of a pipeline's `filters`. It may
       raise: nothing is served yet.
    3. `inherit(previous)` is called only when a new config replaces the served one and has
       changed this entry. `previous` is still entered, and keeps its own requests and sessions.
       An entry that has not changed keeps its instance, and steps 2 to 4 are skipped.
    4. ``__aenter__`` runs in the instance's own task, after the services have started. When it
       raises, the config is not served; a config that was served before stays in place.
    5. `handle(ctx)` is called for each request, many at a time. Once there is an answer, a filter
       is skipped unless it says `sees_answers` or a `jumpIf` leads to it.
    6. `on_answer(ctx)` is called when the flow is over, for each filter whose `handle` was
       called, in reverse order. The answer may be a filter's, or one of the engine's such as 503.
    7. When the answer has opened a WebSocket session: `on_open(session)` before its first
       message, `on_message(session, message)` for each message that `reads` names,
       `on_tick(session)` each `tick` seconds, and `on_close(session, ending)` at its end, for each
       filter whose `handle` was called. A client's message meets the filters in the order of the
       flow, a backend's in reverse order. What a class does not override costs nothing.
    8. ``__aexit__`` runs in the same task as ``__aenter__``, when no config names the instance
       any more and its last request and session are over.
    """

    kind: ClassVar[str]
    schema: ClassVar[Mapping[str, Any] | str] = {"type": "object", "properties": {}}
    results: ClassVar[Sequence[str]] = ()
    services: ClassVar[Sequence[type[Service]]] = ()
    sees_answers: ClassVar[bool] = False
    unbounded_body: ClassVar[bool] = False
    opens_sessions: ClassVar[bool] = False
    trusted_field: ClassVar[str] = ""
    build_note: ClassVar[str] = ""
    api: ClassVar[int] = API
    reads: Reads = Reads()
    tick: ClassVar[float] = 1.0
    hook_timeout: ClassVar[float] = 30.0

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        """The faults of a spec that the schema cannot express, such as fields that disagree.

        `easews validate` reports each with its place in the file. `spec` is as for `__init__`.
        """
        return ()

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        """`spec` is valid and complete: defaults are filled in, durations are seconds, sizes are
        bytes.
        """
        self.name: str = name
        self.spec: Mapping[str, Any] = spec

    async def handle(self, ctx: Context) -> str | None:
        """Handle one request: read and change `ctx.request`, or answer by setting `ctx.response`.

        Return None (or "") to go on to the next filter. Return one of `results` to end the flow,
        or to jump to the filter that a `jumpIf` of the flow names. Once `ctx.response` is set,
        later filters are skipped, except those that say `sees_answers` and the target of a
        `jumpIf`; set it to None to withdraw the answer. Never block the event loop: await, or use
        a thread.

        A filter that only reads messages, or changes answers, need not override it.
        """
        return None

    async def on_answer(self, ctx: Context) -> None:
        """Change the answer before it is sent: the headers of `ctx.response`, or all of it.

        A filter that stands before a proxy changes the proxy's answer in this way. It is not
        called when the client has left. When it raises, the client gets 500 instead.
        """

    def on_open(self, session: Session) -> Awaitable[None] | None:
        """A session has opened that came past this filter. It may be ``async def``: the first
        message is read when it has returned.
        """

    def on_message(self, session: Session, message: Message) -> Result | Awaitable[Result]:
        """Read one message, and say what goes on in its place.

        Return `message` itself to let it pass as it came, another message (or str, or bytes) to
        change it, a list to send several, None to drop it, or a `Close` to end the session.

        As a plain function it is called where the message is read, and nothing is faster. As
        ``async def`` it runs in a task of its own, and the sender is not read until it returns:
        order is kept, and a sender waits for a slow hook. When it raises, the entry's `onError`
        decides: `close` (1011), `pass` or `drop`.
        """
        return message

    def on_tick(self, session: Session) -> Awaitable[None] | None:
        """`tick` seconds have passed. It is not called again while an earlier call is awaited."""

    def on_close(self, session: Session, ending: Ending) -> Awaitable[None] | None:
        """The session is over. Nothing can be sent any more; its `notes` are still there."""

    def inherit(self, previous: Filter) -> None:
        """Take over state from `previous`, the instance that this one replaces.

        `previous` is of the same kind. Check its type if your class may have changed meanwhile.
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


#: The methods by which a filter takes part; a class has at least one of its own.
HOOKS = ("handle", "on_answer", "on_open", "on_message", "on_tick", "on_close")
#: What `onError` of an entry may say.
ON_ERROR = ("close", "pass", "drop")
_ON_ERROR_FIELD = {
    "enum": list(ON_ERROR),
    "default": "close",
    "description": "What happens to a message when this filter raises: the session is closed with"
    " 1011, or the message goes on as it came, or it is dropped.",
    "examples": ["pass"],
}


def overrides(filter_class: type[Filter], hook: str) -> bool:
    """Whether the class has a hook (such as ``on_message``) of its own."""
    return getattr(filter_class, hook) is not getattr(Filter, hook)


def schema_of(filter_class: type[Filter]) -> dict[str, Any]:
    """The filter's JSON Schema as a dict, read from its package when it names a file.

    That of a filter that reads messages has `onError`, too. OSError, ValueError or
    ModuleNotFoundError when that file is missing or is no JSON.
    """
    schema = _own_schema(filter_class)
    if overrides(filter_class, "on_message"):
        schema["properties"] = {**schema.get("properties", {}), "onError": _ON_ERROR_FIELD}
    return schema


def _own_schema(filter_class: type[Filter]) -> dict[str, Any]:
    schema = filter_class.schema
    if isinstance(schema, str):
        text = (_package_of(filter_class) / "schemas" / schema).read_text("utf-8")
        loaded = json.loads(text)
        if not isinstance(loaded, dict):
            raise ValueError(f"{schema} holds no JSON object")
        return loaded
    return dict(schema)


def _package_of(filter_class: type[Filter]) -> Traversable:
    """The folder of its package; of a file that was run by itself, the folder it is in."""
    name = filter_class.__module__.partition(".")[0]
    module = sys.modules.get(name)
    if module is not None and module.__spec__ is None and module.__file__ is not None:
        return Path(module.__file__).parent
    return resources.files(name)


def summary_of(filter_class: type[Filter]) -> str:
    """The first line of the filter's docstring."""
    return (filter_class.__doc__ or "").strip().partition("\n")[0]
