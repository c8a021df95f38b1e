"""Calls to another process: results, errors, streams, and what becomes of them at its end."""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup

from easews import EasewsError
from easews.net.channel import Channel, DescriptorsRefused, pair
from easews.operate.control import NotAvailable, Refused
from easews.operate.workers.calls import Answerer, Caller, Gone
from easews.testing.running import one_error

#: More than fits into a channel.
LARGE = "a" * 1_000_000


class Other:
    """What the other process has."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.cancelled = anyio.Event()

    async def add(self, one: int, other: int) -> int:
        return one + other

    async def refuse(self) -> None:
        raise Refused("say which")

    async def lack(self) -> None:
        raise NotAvailable("not here")

    async def differ(self) -> None:
        raise EasewsError("no such thing")

    async def fail(self) -> None:
        raise ZeroDivisionError

    async def size(self, fds: list[int]) -> int:
        with os.fdopen(fds[0], "rb") as file:
            return len(file.read())

    async def echo(self, text: str) -> str:
        self.begun.set()
        return text

    async def wait(self) -> None:
        self.begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.cancelled.set()

    async def count(self, most: int) -> AsyncIterator[int]:
        try:
            for number in range(most):
                yield number
            if most > 3:
                await anyio.sleep_forever()
        finally:
            self.cancelled.set()


@asynccontextmanager
async def ends() -> AsyncIterator[tuple[Channel, Channel, TaskGroup]]:
    """Both ends of a channel, and tasks beside."""
    here, there = map(Channel, pair())
    with one_error():
        async with anyio.create_task_group() as tasks:
            yield here, there, tasks
            tasks.cancel_scope.cancel()
        here.close()
        there.close()


def answerer(channel: Channel, other: Other) -> Answerer:
    handlers = {name: getattr(other, name) for name in vars(Other) if name[0] != "_"}
    return Answerer(channel, handlers)


@asynccontextmanager
async def calling() -> AsyncIterator[tuple[Caller, Other, Channel]]:
    """A caller, and what it calls; the channel's other end."""
    async with ends() as (here, there, tasks):
        caller, other = Caller(here, "worker 1"), Other()
        tasks.start_soon(caller.run)
        tasks.start_soon(answerer(there, other).run)
        yield caller, other, there


async def test_calls_return_what_was_called_and_may_overtake_each_other() -> None:
    async with calling() as (caller, _, _), anyio.create_task_group() as tasks:
        tasks.start_soon(caller.call, "wait")
        assert await caller.call("add", 2, 3) == 5
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("refuse", Refused, "say which"),
        ("lack", NotAvailable, "not here"),
        ("differ", EasewsError, "no such thing"),
        ("fail", EasewsError, "it failed; the log says more"),
    ],
)
async def test_errors_arrive_as_what_they_were(
    name: str, error: type[EasewsError], text: str
) -> None:
    async with calling() as (caller, _, _):
        with pytest.raises(error, match=text) as raised:
            await caller.call(name)
        assert type(raised.value) is error


async def test_descriptors_go_with_a_call() -> None:
    async with calling() as (caller, _, _):
        reading, writing = os.pipe()
        os.write(writing, b"12345")
        os.close(writing)
        assert await caller.call("size", fds=[reading]) == 5
        os.close(reading)


async def test_a_call_whose_descriptors_cannot_be_sent_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(*_: object) -> None:
        raise DescriptorsRefused

    async with calling() as (caller, _, _):
        monkeypatch.setattr(Channel, "_send", refuse)
        with pytest.raises(EasewsError, match="too many descriptors of this user"):
            await caller.call("size", fds=[0])


async def test_a_call_fails_whose_descriptors_have_no_room_and_others_go_on() -> None:
    async with calling() as (caller, _, _):
        with tempfile.TemporaryFile() as file:
            file.write(b"12345")
            file.seek(0)
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
            try:
                with pytest.raises(EasewsError, match="limit of open files"):
                    await caller.call("size", fds=[file.fileno()])
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            assert await caller.call("size", fds=[file.fileno()]) == 5


async def test_a_call_that_is_cancelled_is_cancelled_there() -> None:
    async with calling() as (caller, other, _):
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(caller.call, "wait")
                await other.begun.wait()
                tasks.cancel_scope.cancel()
            await other.cancelled.wait()
        assert await caller.call("add", 1, 1) == 2


async def test_a_call_that_is_cancelled_before_it_has_begun_does_not_begin() -> None:
    async with ends() as (here, there, tasks):
        other, (reading, writing) = Other(), os.pipe()
        await here.send({"id": 1, "call": "wait", "args": []})
        await here.send({"id": 1, "cancel": True})
        await here.send({"id": 2, "call": "size", "args": []}, [writing])
        await here.send({"id": 2, "cancel": True})
        await here.send({"id": 3, "call": "add", "args": [2, 3]})
        os.close(writing)
        tasks.start_soon(answerer(there, other).run)
        assert await here.receive() == {"id": 3, "result": 5}
        assert not other.begun.is_set()
        os.set_blocking(reading, False)
        assert os.read(reading, 1) == b""  # what came with it is closed
        os.close(reading)


async def test_an_answer_that_is_cancelled_half_way_spoils_no_other() -> None:
    async with ends() as (here, there, tasks):
        other = Other()
        tasks.start_soon(answerer(there, other).run)
        await here.send({"id": 1, "call": "echo", "args": [LARGE]})
        await other.begun.wait()
        await anyio.wait_all_tasks_blocked()
        await here.send({"id": 1, "cancel": True})
        await here.send({"id": 2, "call": "add", "args": [2, 3]})
        assert await here.receive() == {"id": 1, "result": LARGE}
        assert await here.receive() == {"id": 2, "result": 5}


async def test_a_call_that_is_cancelled_half_way_spoils_no_other() -> None:
    async with ends() as (here, there, tasks):
        caller, calling = Caller(here, "worker 1"), anyio.CancelScope()

        async def call() -> None:
            with calling:
                await caller.call("echo", LARGE)

        tasks.start_soon(caller.run)
        tasks.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        calling.cancel()
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(answerer(there, Other()).run)
        assert await caller.call("add", 1, 1) == 2


async def test_items_come_one_by_one_until_nobody_wants_more() -> None:
    async with calling() as (caller, other, _):
        assert [item async for item in caller.items("count", 3)] == [0, 1, 2]
        other.cancelled = anyio.Event()
        items = caller.items("count", 1000)
        assert await anext(items) == 0
        await items.aclose()
        with anyio.fail_after(30):
            await other.cancelled.wait()


async def test_many_items_come_to_whoever_takes_them() -> None:
    async with calling() as (caller, _, _), aclosing(caller.items("count", 1000)) as items:
        with anyio.fail_after(30):
            assert [await anext(items) for _ in range(1000)] == [*range(1000)]


async def test_items_wait_there_until_those_before_them_are_taken() -> None:
    async with ends() as (here, there, tasks):
        tasks.start_soon(answerer(there, Other()).run)
        await here.send({"id": 1, "call": "count", "args": [1000]})
        for number in range(100):
            assert await here.receive() == {"id": 1, "item": number}
        await here.send({"id": 2, "call": "add", "args": [2, 3]})
        assert await here.receive() == {"id": 2, "result": 5}
        await here.send({"id": 1, "more": 1})
        assert await here.receive() == {"id": 1, "item": 100}


async def test_whoever_waits_is_told_of_the_end_of_the_other_process() -> None:
    async with calling() as (caller, _, there):

        async def wait(*, task_status: Any) -> None:
            task_status.started()
            with pytest.raises(Gone, match="worker 1 has ended"):
                await caller.call("wait")

        async with anyio.create_task_group() as tasks:
            await tasks.start(wait)
            await anyio.wait_all_tasks_blocked()
            there.close()
        with pytest.raises(Gone):
            await caller.call("add", 1, 1)
