"""Asking one server of a pool after the other."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..errors import ConnectError, UpstreamError
from ..filters import Context
from .onward import NoServer
from .pool import Attempt, Pool
from .servers import Server

log: logging.Logger = logging.getLogger("easews.upstream")

T = TypeVar("T")


async def first_answer(pool: Pool, ctx: Context, ask: Callable[[Attempt], Awaitable[T]]) -> T:
    """What `ask` returns for the first server of the pool for which it does not raise ConnectError.

    Each server is asked once at most. `ctx.backend` is the one that was asked last. The caller
    has to call `over` of the attempt that led to the answer. Raises NoServer when the pool has no
    server, the last ConnectError, and any other error at once.
    """
    failure: UpstreamError = NoServer("the pool has no server")
    tried: list[Server] = []
    while (attempt := pool.next(ctx.request, tried)) is not None:
        server = attempt.server
        if tried:
            log.warning("request %s: %s; asking %s", ctx.id, failure, server.url)
        ctx.backend = server.url
        try:
            answer = await ask(attempt)
        except ConnectError as error:
            attempt.over()
            attempt.failed(error)
            failure = error.with_traceback(None)
            tried.append(server)
        except BaseException:
            attempt.over()
            raise
        else:
            attempt.succeeded()
            return answer
    try:
        raise failure
    finally:
        del failure  # its traceback leads here: together they would be garbage
