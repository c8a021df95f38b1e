"""Calls from one process to another over a channel, and their answers.

{"id": 7, "call": "session", "args": ["1f2e-3"]}        asks
{"id": 7, "result": ...}                                 answers
{"id": 7, "item": ...}                                   one of many, before the result
{"id": 7, "error": "...", "sort": "Refused"}             why there is no result
{"id": 7, "more": 50}                                    whoever asked has taken so many items
{"id": 7, "cancel": true}                                whoever asked wants no more of it

Only some items are on their way to whoever takes them slowly. The others wait where they come from,
which knows what to do when that takes too long.
"""

from __future__ import annotations

import logging
import os
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from contextlib import aclosing, suppress
from itertools import count
from math import inf
from typing import Any

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream

from ...errors import EasewsError
from ...net.channel import Channel, DescriptorsLost, DescriptorsRefused, Message
from ..control import NotAvailable, Refused

log: logging.Logger = logging.getLogger("easews")

#: Errors that arrive as what they were; others as an EasewsError with the same text.
_SORTS: Mapping[str, type[EasewsError]] = {"Refused": Refused, "NotAvailable": NotAvailable}
#: How many items may be on their way, and after how many that are taken the other side is told.
_MOST_AHEAD, _TOLD_EVERY = 100, 50
#: Why a call fails whose descriptors have not come.
_NO_ROOM = "a worker has reached its limit of open files: raise that (ulimit -n)"

Handler = Callable[..., Awaitable[Any] | AsyncGenerator[Any, None]]


class Gone(EasewsError):
    """The other process has ended."""


class Caller:
    """Asks the process at the other end of `channel`, which `name` is the name of."""

    def __init__(self, channel: Channel, name: str) -> None:
        self._channel = channel
        self._name = name
        self._ids = count(1)
        self._waiting: dict[int, MemoryObjectSendStream[Message]] = {}
        self._is_gone = False

    async def run(self) -> None:
        """Pass answers on to those who wait for them, until the other process has ended."""
        while (answer := await self._channel.receive()) is not None:
            if (waiting := self._waiting.get(answer["id"])) is not None:
                waiting.send_nowait(answer)
        self._is_gone = True
        for waiting in self._waiting.values():
            waiting.close()

    async def call(self, name: str, *args: Any, fds: Sequence[int] = ()) -> Any:
        """What `name` returns there for these arguments, which fit into JSON.

        Gone when the process ends before it has answered; what the call raises there when that is
        an EasewsError.
        """
        async with aclosing(self._answers(name, args, fds)) as answers:
            async for answer in answers:
                if "result" in answer:
                    return answer["result"]
        raise self._gone()

    async def items(self, name: str, *args: Any) -> AsyncGenerator[Any, None]:
        """What `name` yields there."""
        async with aclosing(self._answers(name, args, ())) as answers:
            async for answer in answers:
                if "result" in answer:
                    return
                yield answer["item"]
        raise self._gone()

    async def _answers(
        self, name: str, args: Sequence[Any], fds: Sequence[int]
    ) -> AsyncGenerator[Message, None]:
        if self._is_gone:
            return
        number = next(self._ids)
        put, answers = anyio.create_memory_object_stream[Message](inf)
        self._waiting[number] = put
        is_over, taken = False, count(1)
        try:
            try:
                await self._channel.send({"id": number, "call": name, "args": args}, fds)
            except DescriptorsRefused as error:
                is_over = True
                raise EasewsError(error.strerror) from None
            except OSError:
                pass  # the other process has ended, which `run` is about to say
            async for answer in answers:
                is_over = "item" not in answer
                if "error" in answer:
                    raise _SORTS.get(answer["sort"], EasewsError)(answer["error"])
                yield answer
                if not is_over and next(taken) % _TOLD_EVERY == 0:
                    with suppress(OSError):
                        await self._channel.send({"id": number, "more": _TOLD_EVERY})
        finally:
            del self._waiting[number]
            put.close()
            answers.close()
            if not is_over and not self._is_gone:
                with anyio.CancelScope(shield=True), suppress(OSError):
                    await self._channel.send({"id": number, "cancel": True})

    def _gone(self) -> Gone:
        return Gone(f"{self._name} has ended")


class _Running:
    """A call that is being answered.

    scope  cancels it
    room   for how many items there is room on the other side
    """

    def __init__(self) -> None:
        self.scope: anyio.CancelScope = anyio.CancelScope()
        self.room: anyio.Semaphore = anyio.Semaphore(_MOST_AHEAD)


class Answerer:
    """Answers calls with `handlers`, by name. Arguments of a call that brings descriptors are
    followed by a list of them.
    """

    def __init__(self, channel: Channel, handlers: Mapping[str, Handler]) -> None:
        self._channel = channel
        self._handlers = handlers
        self._running: dict[int, _Running] = {}

    async def run(self) -> None:
        """Answer each call in a task, until the other process has ended."""
        async with anyio.create_task_group() as tasks:
            while (message := await self._next()) is not None:
                self._take(message, tasks)
            tasks.cancel_scope.cancel()

    async def _next(self) -> Message | None:
        while True:
            try:
                return await self._channel.receive()
            except DescriptorsLost as lost:
                answer = {"id": lost.message["id"], "error": _NO_ROOM, "sort": ""}
                with suppress(OSError):
                    await self._channel.send(answer)

    def _take(self, message: Message, tasks: TaskGroup) -> None:
        number = message["id"]
        if "call" in message:
            self._running[number] = _Running()
            tasks.start_soon(self._answer, message)
        elif (running := self._running.get(number)) is not None:
            if "cancel" in message:
                running.scope.cancel()
            for _ in range(message.get("more", 0)):
                running.room.release()

    async def _answer(self, message: Message) -> None:
        number = message["id"]
        with self._running[number].scope as scope, suppress(OSError):
            if not scope.cancel_called:
                await self._channel.send({"id": number, **await self._outcome(message)})
            else:  # it has not begun, so nobody takes what it has brought
                for descriptor in message.get("fds", ()):
                    os.close(descriptor)
        del self._running[number]

    async def _outcome(self, message: Message) -> Message:
        args = [*message["args"], *([message["fds"]] if "fds" in message else [])]
        try:
            return {"result": await self._result(message["id"], message["call"], args)}
        except EasewsError as error:
            return {"error": str(error), "sort": type(error).__name__}
        except Exception:
            log.exception("%s, which another process has asked for, failed", message["call"])
            return {"error": "it failed; the log says more", "sort": ""}

    async def _result(self, number: int, name: str, args: Sequence[Any]) -> Any:
        called = self._handlers[name](*args)
        if not isinstance(called, AsyncGenerator):
            return await called
        async with aclosing(called) as items:
            async for item in items:
                await self._running[number].room.acquire()
                await self._channel.send({"id": number, "item": item})
        return None
