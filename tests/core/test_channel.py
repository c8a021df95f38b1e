"""Messages between processes: whole, in order, with their descriptors."""

from __future__ import annotations

import errno
import os
import resource
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any

import anyio
import pytest

from easews.net import channel
from easews.net.channel import Channel, DescriptorsLost, DescriptorsRefused, pair


class Crowded(socket.socket):
    """One end of a pair, whose user has too many descriptors on their way for so many tries."""

    refusals = 0.0

    def sendmsg(self, buffers: Any, passed: Any = (), *others: Any) -> int:
        if passed and self.refusals > 0:
            self.refusals -= 1
            raise OSError(errno.ETOOMANYREFS, os.strerror(errno.ETOOMANYREFS))
        return super().sendmsg(buffers, passed, *others)


@pytest.fixture
def crowded() -> Iterator[tuple[Crowded, Channel, Channel]]:
    """The socket of the first one of these ends."""
    near, far = pair()
    sock = Crowded(fileno=near.detach())
    here, there = Channel(sock), Channel(far)
    yield sock, here, there
    here.close()
    there.close()


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    here, there = map(Channel, pair())
    yield here, there
    here.close()
    there.close()


async def test_messages_come_whole_and_in_order(ends: tuple[Channel, Channel]) -> None:
    here, there = ends
    sent = [{"text": "a\nü" * size} for size in (1, 400_000, 3)]
    async with anyio.create_task_group() as tasks:

        async def send() -> None:
            for message in sent:
                await here.send(message)

        tasks.start_soon(send)
        assert [await there.receive() for _ in sent] == sent


async def test_a_message_whose_sender_is_cancelled_half_way_comes_whole(
    ends: tuple[Channel, Channel],
) -> None:
    here, there = ends
    large = {"text": "a" * 1_000_000}
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(here.send, large)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(here.send, {"next": 2})
        assert [await there.receive() for _ in range(2)] == [large, {"next": 2}]


async def test_descriptors_come_with_their_message(
    ends: tuple[Channel, Channel], tmp_path: Path
) -> None:
    here, there = ends
    files = [tmp_path / str(number) for number in range(300)]
    fds = [os.open(file, os.O_CREAT | os.O_WRONLY) for file in files]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(here.send, {"first": 1})
        tasks.start_soon(here.send, {"many": 2}, fds)
        tasks.start_soon(here.send, {"one": 3}, fds[:1])
        received = [await there.receive() for _ in range(3)]
    passed = [fd for message in received if message for fd in message.get("fds", ())]
    assert len(passed) == 301
    (many,) = [message for message in received if message and "many" in message]
    assert [os.fstat(fd).st_ino for fd in many["fds"]] == [file.stat().st_ino for file in files]
    for fd in (*passed, *fds):
        os.close(fd)


async def test_the_end_of_the_other_process_is_noticed(ends: tuple[Channel, Channel]) -> None:
    here, there = ends
    await here.send({"last": True})
    here.close()
    assert await there.receive() == {"last": True}
    assert await there.receive() is None
    with pytest.raises(OSError, match="Broken pipe"):
        await there.send({})


async def test_descriptors_for_which_there_is_no_room_are_lost_and_nothing_else(
    ends: tuple[Channel, Channel],
) -> None:
    here, there = ends
    with tempfile.TemporaryFile() as file:
        open_files = max(map(int, os.listdir("/dev/fd")))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        await here.send({"number": 1}, [file.fileno()] * 250)
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files + 5, hard))
        try:
            with pytest.raises(DescriptorsLost) as lost:
                await there.receive()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert lost.value.message["number"] == 1
        await here.send({"number": 2}, [file.fileno()])
        message = await there.receive()
    assert message is not None
    (descriptor,) = message["fds"]
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    assert max(map(int, os.listdir("/dev/fd"))) <= open_files


async def test_descriptors_wait_while_too_many_are_on_their_way(
    crowded: tuple[Crowded, Channel, Channel],
) -> None:
    sock, here, there = crowded
    sock.refusals = 3
    with tempfile.TemporaryFile() as file:
        await here.send({"number": 1}, [file.fileno()])
        message = await there.receive()
        assert message is not None
        (descriptor,) = message["fds"]
        assert os.fstat(descriptor).st_ino == os.fstat(file.fileno()).st_ino
        os.close(descriptor)


async def test_descriptors_that_wait_for_too_long_are_refused_and_nothing_has_gone(
    crowded: tuple[Crowded, Channel, Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    sock, here, there = crowded
    monkeypatch.setattr(channel, "CROWD_PATIENCE", 0.05)
    sock.refusals = inf
    with tempfile.TemporaryFile() as file:
        with pytest.raises(DescriptorsRefused, match="on their way to other processes"):
            await here.send({"number": 1}, [file.fileno()] * 300)
        await here.send({"number": 2})
        assert await there.receive() == {"number": 2}


@pytest.mark.parametrize("cancelled", [False, True])
async def test_all_descriptors_of_a_message_go_once_the_first_have_gone(
    crowded: tuple[Crowded, Channel, Channel], monkeypatch: pytest.MonkeyPatch, cancelled: bool
) -> None:
    sock, here, there = crowded
    sending = anyio.CancelScope()
    monkeypatch.setattr(channel, "CROWD_PATIENCE", 0.0)

    def refuse_the_second(buffers: Any, passed: Any = (), *others: Any) -> int:
        sent = socket.socket.sendmsg(sock, buffers, passed, *others)
        sock.sendmsg = Crowded.sendmsg.__get__(sock)  # type: ignore[method-assign]
        sock.refusals = 3
        if cancelled:
            sending.cancel()
        return sent

    sock.sendmsg = refuse_the_second  # type: ignore[method-assign]
    with tempfile.TemporaryFile() as file, anyio.fail_after(30):
        with sending:
            await here.send({"number": 1}, [file.fileno()] * 300)
        message = await there.receive()
    assert message is not None
    assert len(message["fds"]) == 300
    for descriptor in message["fds"]:
        os.close(descriptor)


@contextmanager
def without_rights(files: int) -> Iterator[None]:
    """As a user who may have so many files open, and as many on their way. It is a user of this
    process alone: what others of the same name have on their way would count, too.
    """
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, limits[1]))
    user = 100_000 + os.getpid()
    os.setresuid(user, user, 0)  # the kernel counts for the real user
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def test_a_user_without_rights_waits_for_descriptors_that_are_on_their_way(
    ends: tuple[Channel, Channel], root: None
) -> None:
    here, there = ends
    near, far = pair()  # nobody receives what is sent here
    with near, far, tempfile.TemporaryFile() as file, without_rights(file.fileno() + 20):
        fds = [file.fileno()] * (file.fileno() + 21)
        socket.send_fds(near, [b"!"], fds)
        with pytest.raises(OSError, match=os.strerror(errno.ETOOMANYREFS)):
            socket.send_fds(near, [b"!"], fds)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(here.send, {"number": 1}, [file.fileno()])
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(BlockingIOError):
                there._sock.recv(1, socket.MSG_PEEK)
            far.recv(1)  # without room for descriptors: they are gone
            message = await there.receive()
    assert message is not None
    os.close(message["fds"][0])
