"""Messages between two processes on one machine: JSON, one message a line, with descriptors.

A message that brings descriptors says how many in its field `fds`. The receiver finds the
descriptors themselves there.
"""

from __future__ import annotations

import array
import errno
import json
import os
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Any

import anyio

_READ_SIZE = 65536
#: As many as Linux passes at once (SCM_MAX_FD).
_MOST_FDS = 253
_SPACE = socket.CMSG_SPACE(_MOST_FDS * array.array("i").itemsize)
_FDS = "fds"
#: Seconds for which descriptors wait while too many of this user's are on their way, and from one
#: try to the next.
CROWD_PATIENCE, _LOOK = 2.0, 0.01
#: Descriptors that come are not for processes that this one starts (Linux).
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)

Message = Mapping[str, Any]


class DescriptorsLost(OSError):
    """The limit of open files is reached: `message` has come without its descriptors."""

    def __init__(self, message: Message) -> None:
        super().__init__(errno.EMFILE, os.strerror(errno.EMFILE))
        self.message: Message = message


class DescriptorsRefused(OSError):
    """Nothing was sent: too many descriptors of this user are on their way."""

    def __init__(self) -> None:
        why = "too many descriptors of this user are on their way to other processes"
        super().__init__(errno.ETOOMANYREFS, why)


class Channel:
    """One end of a pair of unix sockets. `send` may be called by several tasks at once."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._received = bytearray()
        self._fds: deque[int] = deque()
        self._sending = anyio.Lock()
        self._unsent = memoryview(b"")

    async def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send a message, which fits into JSON, with copies of these descriptors.

        OSError when the other end is gone. DescriptorsRefused when more descriptors of this user
        than it may have open are on their way, all over the system, and are so for too long.

        When this is cancelled, what is left of the message goes in front of the next one.
        """
        fields = {**message, _FDS: len(fds)} if fds else message
        line = memoryview(json.dumps(fields).encode() + b"\n")
        groups = [fds[at : at + _MOST_FDS] for at in range(0, len(fds), _MOST_FDS)]
        async with self._sending:
            await self._send_rest()
            # A byte has to go with each group: spaces in front of the object.
            for number, group in enumerate(groups):
                patience = inf if number else CROWD_PATIENCE  # behind the first, all have to go
                with anyio.CancelScope(shield=number > 0):
                    await self._send(memoryview(b" "), group, patience)
            self._unsent = line
            await self._send_rest()

    async def _send_rest(self) -> None:
        while self._unsent:
            self._unsent = self._unsent[await self._send(self._unsent, ()) :]

    async def _send(self, data: memoryview, fds: Sequence[int], patience: float = inf) -> int:
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        until = anyio.current_time() + patience
        while True:
            try:
                return self._sock.sendmsg([data], passed)
            except BlockingIOError:
                await anyio.wait_writable(self._sock)
            except OSError as error:
                if error.errno != errno.ETOOMANYREFS:
                    raise
                if anyio.current_time() >= until:
                    raise DescriptorsRefused from None
                await anyio.sleep(_LOOK)

    async def receive(self) -> dict[str, Any] | None:
        """The next message; None when the other end is gone. One task at a time.

        DescriptorsLost when descriptors came with it that this process has no room for. Those of a
        message that follows at once may be lost, too.
        """
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            if not await self._read():
                return None
        message: dict[str, Any] = json.loads(self._received[:end])
        del self._received[: end + 1]
        if _FDS in message:
            if len(self._fds) < message[_FDS]:  # the kernel has cut off the rest (MSG_CTRUNC)
                self._drop_descriptors()
                raise DescriptorsLost(message)
            message[_FDS] = [self._fds.popleft() for _ in range(message[_FDS])]
        return message

    async def _read(self) -> bool:
        try:
            data, passed, _, _ = self._sock.recvmsg(_READ_SIZE, _SPACE, _CLOSE_ON_EXEC)
        except BlockingIOError:
            await anyio.wait_readable(self._sock)
            return True
        except OSError:
            return False
        for _, _, packed in passed:
            fds = array.array("i")
            fds.frombytes(packed[: len(packed) - len(packed) % fds.itemsize])
            self._fds.extend(fds)
        self._received += data
        return bool(data)

    def fileno(self) -> int:
        """The descriptor of this end."""
        return self._sock.fileno()

    def cut(self) -> None:
        """Nothing comes or goes from here on, but for what has come already: what the other end
        sends now fails there.
        """
        with suppress(OSError):  # the other end is gone
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close this end, and descriptors that came without anybody having asked for them."""
        self._sock.close()
        self._drop_descriptors()

    def _drop_descriptors(self) -> None:
        for descriptor in self._fds:
            os.close(descriptor)
        self._fds.clear()


def of_descriptor(descriptor: int) -> Channel:
    """The end of a pair that a process was started with."""
    return Channel(socket.socket(fileno=descriptor))


def pair() -> tuple[socket.socket, socket.socket]:
    """The two ends of a channel."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
