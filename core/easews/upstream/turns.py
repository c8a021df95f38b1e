"""Asking one server of a pool after the other."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from math import inf
from typing import Protocol, TypeVar

import anyio

from ..errors import ConnectError, UpstreamError, UpstreamTimeout
from ..filters import Context
from .attempts import Attempt
from .causes import cause_of
from .onward import Busy, NoServer
from .pool import Pool
from .retries import Retries
from .servers import Server

log: logging.Logger = logging.getLogger("easews.upstream")


class Reply(Protocol):
    """What a server has answered."""

    @property
    def status(self) -> int:
        """Its status code."""

    def finish(self) -> Awaitable[None] | None:
        """Nobody wants more of it: let go of its connection, and call `over` of the attempt.

        To be awaited, if there is what to.
        """


R = TypeVar("R", bound=Reply)
Ask = Callable[[Attempt], Awaitable[R]]


async def first_answer(
    pool: Pool,
    ctx: Context,
    ask: Ask[R],
    repeatable: Callable[[], bool] = lambda: True,
) -> R:
    """What `ask` returns for the first server of the pool that answers, as `pool.retries` has it.

    Each server is asked once at most. `ctx.backend` is the one that was asked last. `ask` raises
    ConnectError only if another server may be asked; `repeatable` says whether one may when this
    one has answered, or should have. The caller has to call `finish` of what it gets.

    Raises NoServer when no server may be asked, `Busy` when all are full and there is no place in
    the queue, UpstreamTimeout when time is up, and otherwise the error of the last `ask`.
    """
    deadline = pool.retries.deadline
    if deadline == inf:
        return await _in_turn(pool, ctx, ask, repeatable)
    with anyio.move_on_after(deadline):
        return await _in_turn(pool, ctx, ask, repeatable)
    raise UpstreamTimeout(f"{ctx.backend}: no answer within {deadline:g} s (retries.deadline)")


async def _in_turn(pool: Pool, ctx: Context, ask: Ask[R], repeatable: Callable[[], bool]) -> R:
    tried: list[Server] = []
    attempt = pool.next(ctx.request) or await _free_server(pool, ctx)
    while True:
        ctx.backend = attempt.server.url
        outcome = await _outcome(attempt, ask, pool.retries)
        tried.append(attempt.server)
        another = None
        if len(tried) < pool.retries.attempts and _may_go_on(pool.retries, outcome, repeatable):
            another = pool.next(ctx.request, tried)
        if another is None:
            if not isinstance(outcome, UpstreamError):
                return outcome
            try:
                raise outcome
            finally:
                del outcome  # its traceback leads here: together they would be garbage
        log.warning("request %s: %s; asking %s", ctx.id, _why(ctx, outcome), another.server.url)
        try:
            await _let_go(outcome)
        except BaseException:
            another.over()
            raise
        attempt = another


async def _outcome(attempt: Attempt, ask: Ask[R], retries: Retries) -> R | UpstreamError:
    """What one server has answered, or how it has failed."""
    try:
        if retries.per_try == inf:
            reply = await ask(attempt)
        else:
            reply = await _in_time(attempt, ask, retries.per_try)
    except UpstreamError as error:
        attempt.failed(error)
        attempt.over()
        return error.with_traceback(None)
    except BaseException:
        attempt.over()
        raise
    attempt.succeeded(reply.status)
    return reply


async def _in_time(attempt: Attempt, ask: Ask[R], timeout: float) -> R:
    with anyio.move_on_after(timeout):
        return await ask(attempt)
    raise UpstreamTimeout(f"{attempt.server.url}: no answer within {timeout:g} s (retries.perTry)")


def _may_go_on(
    retries: Retries, outcome: Reply | UpstreamError, repeatable: Callable[[], bool]
) -> bool:
    if isinstance(outcome, UpstreamError):
        # ConnectError says by itself that the request may be sent once more.
        return cause_of(outcome) in retries.on and (
            isinstance(outcome, ConnectError) or repeatable()
        )
    return outcome.status in retries.on and repeatable()


def _why(ctx: Context, outcome: Reply | UpstreamError) -> str:
    if isinstance(outcome, UpstreamError):
        return str(outcome)
    return f"{ctx.backend}: it answers {outcome.status}"


async def _let_go(outcome: Reply | UpstreamError) -> None:
    if not isinstance(outcome, UpstreamError) and (finishing := outcome.finish()) is not None:
        await finishing


async def _free_server(pool: Pool, ctx: Context) -> Attempt:
    """An attempt once a server is free. NoServer when there is nothing to wait for."""
    if pool.is_empty:
        await pool.wait_for_servers()
        if (attempt := pool.next(ctx.request)) is not None:
            return attempt
    if not pool.full:
        raise NoServer(
            "the pool has no server" if pool.is_empty else "no server of the pool is well"
        )
    event, timeout = anyio.Event(), pool.line.rule.timeout
    waiting = pool.line.join(ctx.request, event.set)
    if waiting is None:
        raise Busy("every server of the pool is full, and so is its queue")
    try:
        with anyio.move_on_after(timeout):
            await event.wait()
    except BaseException:
        pool.line.leave(waiting)
        if waiting.attempt is not None:
            waiting.attempt.over()
        raise
    pool.line.leave(waiting)
    if waiting.attempt is None:
        raise Busy(f"every server of the pool is full, for {timeout:g} s (queue.timeout)")
    return waiting.attempt
