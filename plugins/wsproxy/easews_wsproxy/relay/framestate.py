"""The numbers that a walker counts by: where one direction of a session has got to.

`_loop.c` has the same with a `skim` that passes over unremarkable frames, and an `unpack` that
takes messages from them.
"""

from __future__ import annotations

from typing import Any


class FrameState:
    """`masked`: the frames come from a client (RFC 6455 §5.1). `deflate`: permessage-deflate was
    agreed. `limit`: the most payload bytes that a message may have, fragments added up; -1 for
    no limit.
    """

    __slots__ = (
        "bytes",
        "continued",
        "deflate",
        "frames",
        "limit",
        "mask_bit",
        "message_bytes",
        "messages",
        "pings",
        "pongs",
        "remaining",
        "watch_pongs",
    )

    def __init__(self, masked: bool, deflate: bool = False, limit: int = -1) -> None:
        self.mask_bit = 0x80 if masked else 0
        self.deflate = deflate
        self.limit = limit
        self.remaining = 0  # payload bytes of the current frame that are still to come
        self.message_bytes = 0  # payload bytes of the current message so far
        self.continued = False  # a fragmented message is under way
        self.watch_pongs = False  # stop at the next pong
        self.frames = self.messages = self.pings = self.pongs = self.bytes = 0

    def skim(self, data: bytes | bytearray | memoryview, start: int, end: int) -> int:
        """Up to where ``data[start:end]`` may go on as far as can be told quickly. Here that is
        nowhere.
        """
        return start

    def unpack(self, data: bytearray, start: int, end: int, limit: int, items: list[Any]) -> int:
        """Append to `items` the messages in ``data[start:end]`` that can be had quickly, and
        return up to where that was. Here there are none. In C these are messages that lie there
        in one frame each, neither compressed nor over `limit` bytes; see
        `easews_wsproxy.messages.reading.Item`. It stops in front of anything else.
        """
        return start
