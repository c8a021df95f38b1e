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
from .queueing import Waiting
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
    the queue, UpstreamTimeout when time is up, and otherwise the error of the last `ask`. A server
    has failed when time is up while it is asked, but not when the caller is cancelled.
    """
    retries = pool.retries
    ends = inf if retries.deadline == inf else anyio.current_time() + retries.deadline
    tried: list[Server] = []
    attempt = pool.next(ctx.request) or await _free_server(pool, ctx, ends)
    while True:
        if _is_past(ends):
            attempt.over()
            raise _no_server_in_time(retries)
        ctx.backend = attempt.server.url
        outcome = await _outcome(attempt, ask, retries, ends)
        tried.append(attempt.server)
        another = None
        if (
            len(tried) < retries.attempts
            and _may_go_on(retries, outcome, repeatable)
            and not _is_past(ends)
        ):
            another = pool.next(ctx.request, tried)
        if another is None:
            if not isinstance(outcome, UpstreamError):
                return outcome
            try:
                raise outcome
            finally:
                del outcome  # its traceback leads here: together they would be garbage
        pool.retried += 1
        log.warning("request %s: %s; asking %s", ctx.id, _why(ctx, outcome), another.server.url)
        try:
            await _let_go(outcome)
        except BaseException:
            another.over()
            raise
        attempt = another


def _is_past(ends: float) -> bool:
    return ends < inf and anyio.current_time() >= ends


def _no_server_in_time(retries: Retries) -> UpstreamTimeout:
    return _late("no server could be asked", retries.deadline, retries.setting)


def _late(what: str, seconds: float, setting: str) -> UpstreamTimeout:
    return UpstreamTimeout(f"{what} within {seconds:g} s ({setting})")


async def _outcome(
    attempt: Attempt, ask: Ask[R], retries: Retries, ends: float
) -> R | UpstreamError:
    """What one server has answered, or how it has failed."""
    try:
        if ends == retries.per_try == inf:
            reply = await ask(attempt)
        else:
            reply = await _in_time(attempt, ask, retries, ends)
    except UpstreamError as error:
        attempt.failed(error)
        attempt.over()
        return error.with_traceback(None)
    except BaseException:
        attempt.over()
        raise
    attempt.succeeded(reply.status)
    return reply


async def _in_time(attempt: Attempt, ask: Ask[R], retries: Retries, ends: float) -> R:
    left = ends - anyio.current_time()
    with anyio.move_on_after(min(left, retries.per_try)):
        return await ask(attempt)
    silent = f"{attempt.server.url}: no answer"
    if retries.per_try < left:
        raise _late(silent, retries.per_try, "retries.perTry")
    raise _late(silent, retries.deadline, retries.setting)


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


async def _free_server(pool: Pool, ctx: Context, ends: float) -> Attempt:
    """An attempt once a server is free. NoServer when there is nothing to wait for."""
    if pool.is_empty:
        with anyio.move_on_after(ends - anyio.current_time()):
            await pool.wait_for_servers()
        if (attempt := pool.next(ctx.request)) is not None:
            return attempt
        if _is_past(ends):
            raise _no_server_in_time(pool.retries)
    if not pool.full:
        raise NoServer(
            "the pool has no server" if pool.is_empty else "no server of the pool is well"
        )
    return await _in_line(pool, ctx, ends)


async def _in_line(pool: Pool, ctx: Context, ends: float) -> Attempt:
    """An attempt when it is the request's turn."""
    timeout = pool.line.rule.timeout
    gives_up = min(anyio.current_time() + timeout, ends)
    waiting = pool.line.join(ctx.request, lambda: None)
    if waiting is None:
        raise Busy("every server of the pool is full, and so is its queue")
    try:
        while waiting.attempt is None and (left := gives_up - anyio.current_time()) > 0:
            await _woken(waiting, min(left, pool.due_in))
            pool.refresh()
    except BaseException:
        if waiting.attempt is not None:
            waiting.attempt.over()
        raise
    finally:
        pool.line.leave(waiting)
    if waiting.attempt is not None:
        return waiting.attempt
    if gives_up == ends:
        raise _no_server_in_time(pool.retries)
    raise Busy(f"every server of the pool is full, for {timeout:g} s (queue.timeout)")


async def _woken(waiting: Waiting, seconds: float) -> None:
    """Return when it is woken, and after so many seconds in any case."""
    event = anyio.Event()
    waiting.wake = event.set
    with anyio.move_on_after(seconds):
        await event.wait()
