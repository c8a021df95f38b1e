"""One request and its answer: find the route, run the pipeline, write, log."""

from __future__ import annotations

import logging
import socket
from time import perf_counter

import anyio

from ..answers import problem
from ..errors import EasewsError, MessageError
from ..filters import Context, Route
from ..http import Request, Response
from ..http1 import RequestHead
from ..pipeline import Pipeline
from .reader import RequestBody, RequestReader
from .router import Refused
from .site import Site, new_request_id
from .watch import ClientWatch
from .writer import write_response

log = logging.getLogger("easews.server")

#: Seconds that a pipeline has to come to an answer.
FLOW_DEADLINE = 30.0
#: The status in the log when the client left before its answer (nginx's number).
CLIENT_LEFT = 499


class Exchange:
    """`status` is what the log will say: the answer's, 499, or 0 when there was none at all."""

    def __init__(
        self,
        site: Site,
        sock: socket.socket,
        reader: RequestReader,
        head: RequestHead,
        request: Request,
    ) -> None:
        self._site = site
        self._sock = sock
        self._reader = reader
        self._head = head
        self._began = perf_counter()
        self._sent = 0
        self._body: RequestBody | None = None
        self._upgrades = request.wants_upgrade
        self._last = (
            self._upgrades
            or not site.spec.keep_alive
            or head.version == "1.0"
            or "close" in head.headers.tokens("connection")
        )
        self.status = 0
        self.ctx = Context(
            request,
            id=new_request_id(),
            route=Route(server=site.spec.name),
            services=site.services,
            sessions=site.sessions,
        )

    async def run(self) -> None:
        """Find the route and run its pipeline: then `ctx.response` is the answer."""
        ctx = self.ctx
        match = self._site.router.route(ctx.request)
        limit = -1 if isinstance(match, Refused) else match.body_limit
        try:
            self._body = self._reader.body(self._head, limit)
        except MessageError as error:
            self._give_up(error)
            return
        if isinstance(match, Refused):
            self._answer(match.status, match.detail, match.headers)
            return
        spec = self._site.spec
        pipeline = self._site.generation.pipelines[match.path.backend]
        ctx.route = Route(spec.name, match.name, pipeline.name, spec.trusted_proxies)
        ctx.data = pipeline.data
        ctx.request.target = match.target
        ctx.request.body = self._body
        await self._run_in_time(pipeline)

    async def _run_in_time(self, pipeline: Pipeline) -> None:
        ctx = self.ctx
        with anyio.move_on_after(FLOW_DEADLINE) as running:
            if self._upgrades and self._body is not None and self._body.done:

                def left() -> None:
                    self.status = CLIENT_LEFT
                    running.cancel()

                with self._site.services[ClientWatch].watching(
                    self._sock, self._reader.received, left
                ):
                    await self._run(pipeline)
            else:
                await self._run(pipeline)
        if self.status == CLIENT_LEFT:
            ctx.response = None
        elif running.cancelled_caught:
            last = ctx.trace[-1][0] if ctx.trace else "none"
            log.warning(
                "request %s: no answer from %s within %g s; it was at filter %s",
                *(ctx.id, pipeline.name, FLOW_DEADLINE, last),
            )
            self._answer(504, f"no answer within {FLOW_DEADLINE:g} s")
        elif ctx.response is None:
            self._answer(503, "the pipeline ended without an answer")

    async def _run(self, pipeline: Pipeline) -> None:
        try:
            await pipeline.run(self.ctx)
        except MessageError as error:
            self._give_up(error)

    def _give_up(self, error: MessageError) -> None:
        """What the client sends cannot be followed any further."""
        self._last = True
        self._answer(error.status, error.detail)

    def _answer(self, status: int, detail: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        ctx = self.ctx
        ctx.response = problem(ctx.request, status, detail, headers, id=ctx.id)

    async def respond(self, response: Response) -> bool:
        """Write the answer; whether another request may follow on this connection."""
        last = self._last or self._site.stopping or self._body is None or not self._body.done
        self.status = response.status
        request = self.ctx.request
        try:
            self._sent = await write_response(
                self._sock, response, method=request.method, version=request.version, close=last
            )
        except OSError:
            raise  # the client is gone
        except EasewsError as error:
            log.warning("request %s: the answer was cut short: %s", self.ctx.id, error)
        except (Exception, SystemExit):
            log.exception("request %s: the answer was cut short", self.ctx.id)
        else:
            return not last
        self._sock.close()
        return False

    def write_log(self) -> None:
        """One line in the access log."""
        self._site.access.request(self.ctx, self.status, self._sent, perf_counter() - self._began)

    def close(self) -> None:
        """Let go of what the answer holds on to."""
        if self.ctx.response is not None:
            self.ctx.response.close()
