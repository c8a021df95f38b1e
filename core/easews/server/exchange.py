"""One request and its answer: find the route, run the pipeline, write, log."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from functools import partial
from time import perf_counter, time
from typing import Any

import anyio

from ..errors import EasewsError, MessageError
from ..filters import Context
from ..http import Request, Response
from ..http.h1 import RequestHead
from ..http.problems import problem
from ..net.wire import Wire
from ..pipeline import Pipeline, ServedPipeline, ask_on_answer, close_answer, close_replaced
from ..pipeline.isolation import must_go_on
from ..sessions import Opening, Route, Upgrade
from .fate import Fate
from .line import RequestLine
from .reader import RequestBody, RequestReader
from .routing import Refused
from .site import Site
from .watch import ClientWatch
from .writer import ClientGone, ResponseWriter

log: logging.Logger = logging.getLogger("easews.server")

#: Seconds that a pipeline has to come to an answer.
FLOW_DEADLINE = 30.0
#: The status in the log when the client left before it had its answer (nginx's number).
CLIENT_LEFT = 499


class Exchange:
    """`status` is what the log will say: the answer's, 499, or 0 when there was none at all."""

    def __init__(
        self,
        site: Site,
        wire: Wire,
        reader: RequestReader,
        head: RequestHead,
        request: Request,
    ) -> None:
        self._site = site
        self._wire = wire
        self._reader = reader
        self._head = head
        self._began = perf_counter()
        self._writer = ResponseWriter(wire)
        self._body: RequestBody | None = None
        self.pipeline: ServedPipeline | None = None
        self._left = False
        self._upgrades = request.wants_upgrade
        self._last = (
            self._upgrades
            or not site.spec.keep_alive
            or head.version == "1.0"
            or "close" in head.headers.tokens("connection")
        )
        self.status: int = 0
        self.ctx: Context = Context(
            request,
            id=site.ids.new(),
            route=Route(server=site.spec.name),
            services=site.services,
            sessions=site.sessions,
        )

    async def run(self) -> None:
        """Find the route and run its pipeline: then `ctx.response` is the answer."""
        ctx = self.ctx
        for listener in self._site.on_begin:
            listener(ctx)
        match = self._site.router.route(ctx.request)
        limit = -1 if isinstance(match, Refused) else match.body_limit
        try:
            self._body = self._reader.body(self._head, limit)
        except MessageError as error:
            self._give_up(error)
            return
        if isinstance(match, Refused):
            self.answer(match.status, match.detail, match.headers)
            return
        spec = self._site.spec
        served = self._site.generation.pipelines[match.path.backend]
        if self._site.stopping and not served.in_use:
            self.answer(503, "the gateway is stopping")
            return
        self.pipeline = served
        served.hold()
        pipeline = served.flow
        ctx.route = Route(
            *(spec.name, match.name, pipeline.name, match.path.key),
            *(spec.trusted_proxies, limit, spec.forwarded_for),
        )
        ctx.data = pipeline.data
        ctx.request.target = match.target
        ctx.request.body = self._body
        await self._run_in_time(pipeline)
        if ctx.entered:
            await self._ask_on_answer()

    async def _ask_on_answer(self) -> None:
        with anyio.move_on_after(FLOW_DEADLINE) as asking:
            await ask_on_answer(self.ctx)
        if asking.cancelled_caught:
            log.warning("request %s: on_answer took over %g s", self.ctx.id, FLOW_DEADLINE)
            self.answer(504, f"no answer within {FLOW_DEADLINE:g} s")

    async def _run_in_time(self, pipeline: Pipeline) -> None:
        ctx = self.ctx
        with anyio.CancelScope() as running:
            ctx.line = line = RequestLine(running, self._writer, FLOW_DEADLINE)
            watch = self._site.services[ClientWatch]
            left = partial(self._left_early, running)
            try:
                # A timer costs more than most requests wait.
                await watch.during(pipeline.run(ctx), self._wire, self._reader, left, line.start)
            except MessageError as error:
                self._give_up(error)
        if self._left:
            self.status = CLIENT_LEFT
            ctx.response = None
        elif running.cancelled_caught:
            last = ctx.trace[-1][0] if ctx.trace else "none"
            log.warning(
                "request %s: no answer from %s within %g s; it was at filter %s",
                *(ctx.id, pipeline.name, FLOW_DEADLINE, last),
            )
            self.answer(504, f"no answer within {FLOW_DEADLINE:g} s")
        elif ctx.response is None:
            self.answer(503, "the pipeline ended without an answer")

    def _left_early(self, scope: anyio.CancelScope) -> bool:
        """A client may end its side behind a body that nobody has read yet."""
        return self._body is not None and self._body.done and self._on_left(scope)

    def _on_left(self, scope: anyio.CancelScope) -> bool:
        self._left = True
        scope.cancel()
        return True

    def _give_up(self, error: MessageError) -> None:
        """What the client sends cannot be followed any further."""
        self._last = True
        self.answer(error.status, error.detail)

    def answer(
        self, status: int, detail: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> Response:
        """Make this the answer, in place of any other."""
        ctx = self.ctx
        response = problem(ctx.request, status, detail, headers, id=ctx.id)
        ctx.response = response
        return response

    async def respond(self, response: Response) -> Fate:
        """Write the answer. ClientGone when there is nobody to take it."""
        site = self._site
        last = self._last or site.stopping or site.leaving or not (self._body and self._body.done)
        try:
            await self._write(response, last)
        except ClientGone:
            raise
        except BaseException as error:
            if must_go_on(error):
                raise
            return await self._recover(response, error)
        return Fate.LINGER if last else Fate.KEEP

    async def _write(self, response: Response, last: bool) -> None:
        request, writer = self.ctx.request, ResponseWriter(self._wire)
        self._writer = writer
        self.status = CLIENT_LEFT  # unless it takes all of it
        writing = writer.write(response, method=request.method, version=request.version, close=last)
        if response.content_length is None:
            await self._watched(writing, writer)
        else:
            await writing
        self.status = response.status

    async def _watched(self, writing: Coroutine[Any, Any, None], writer: ResponseWriter) -> None:
        """A body that comes in pieces may keep us waiting for long, or for ever."""
        watch = self._site.services[ClientWatch]
        with anyio.CancelScope() as scope:
            left = partial(self._on_left, scope)
            await watch.during(writing, self._wire, self._reader, left, writer.send_head)
        if scope.cancelled_caught:
            raise ClientGone("the client left before its answer was complete")

    async def _recover(self, response: Response, error: BaseException) -> Fate:
        """The answer could not be made. Say so, if nothing of it has been sent."""
        if isinstance(error, EasewsError):
            log.warning("request %s: the answer was cut short: %s", self.ctx.id, error)
        else:
            log.error("request %s: the answer was cut short", self.ctx.id, exc_info=error)
        if self._writer.started:
            self.status = CLIENT_LEFT if self._left else response.status
            return Fate.DROP
        if isinstance(error, MessageError):
            response = self.answer(error.status, error.detail)
        elif isinstance(error, EasewsError):
            response = self.answer(502, "the server gave an invalid answer")
        else:
            response = self.answer(500, "the answer cannot be sent; the log says more")
        await self._write(response, last=True)
        return Fate.LINGER

    def opening(self, upgrade: Upgrade) -> Opening:
        """What is known of the session that opens now."""
        ctx = self.ctx
        return Opening(
            ctx.id,
            ctx.request.client.host,
            ctx.route,
            upgrade.backend,
            perf_counter() - self._began,
            time(),
            self._site.generation.number,
            ctx.labels,
            self._head.target.partition("?")[0],
        )

    def release(self) -> None:
        """Let go of the filters. Safe to call twice."""
        pipeline, self.pipeline = self.pipeline, None
        if pipeline is not None:
            pipeline.release()

    async def end(self) -> None:
        """Let go of what the answer holds on to, and log the request. Raises nothing."""
        ctx = self.ctx
        try:
            if ctx.replaced:
                await close_replaced(ctx)
            if ctx.response is not None:
                by = ctx.answered_by or "the engine"
                await close_answer(ctx.response, f"request {ctx.id}: the answer of {by}")
            self.write_log()
        except Exception:  # a filter has put something strange into the context
            log.exception("request %s: it could not be logged", self.ctx.id)
        finally:
            self.release()

    def write_log(self) -> None:
        """One line in the access log."""
        took = perf_counter() - self._began
        received = 0 if self._body is None else self._body.size
        self._site.access.request(
            self.ctx, self.status, self._writer.sent, took, self._head, received
        )
