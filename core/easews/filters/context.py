"""One request on its way through a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..http import Headers, Request, Response
from ..notes import Notes
from ..services import Services
from ..sessions import Route, Sessions, Upgrade

_NO_ROUTE = Route()


class Line(Protocol):
    """What the engine does for a filter that is at a request."""

    rests: bool

    async def inform(self, status: int, headers: Headers) -> None: ...
    def rest(self) -> None: ...
    def go_on(self) -> None: ...


class Answering(Protocol):
    """A filter, as far as the end of a flow needs it."""

    async def on_answer(self, ctx: Context) -> None: ...


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
        # filters to ask `on_answer`, those whose hooks the session will call.
        self.line: Line | None = None
        self.step: str = ""
        self.replaced: list[tuple[str, Response | Upgrade]] = []
        self.entered: list[tuple[str, Answering]] = []
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
