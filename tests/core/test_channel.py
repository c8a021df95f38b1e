"""Messages between processes: whole, in order, with their descriptors."""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from easews.net.channel import Channel, DescriptorsLost, pair


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
