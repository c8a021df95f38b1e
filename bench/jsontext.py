"""A text that is worth compressing, as applications send them, and its compression."""

from __future__ import annotations

import json
import zlib
from random import Random

#: What a sender leaves out at the end of a message (RFC 7692 §7.2.1).
TAIL = b"\x00\x00\xff\xff"
WORDS = ("accepted", "created", "delivered", "failed", "paused", "pending", "returned", "sent")


def text_of(size: int) -> bytes:
    """So many bytes of JSON, cut at the end; always the same."""
    random = Random(size)
    events = [
        {
            "id": random.getrandbits(32),
            "state": random.choice(WORDS),
            "price": round(random.uniform(1, 1000), 2),
            "tags": random.sample(WORDS, 2),
            "user": {"name": f"user-{random.randrange(1000)}", "active": random.random() < 0.5},
        }
        for _ in range(size // 100 + 1)
    ]
    return json.dumps({"type": "events", "events": events}).encode()[:size]


def compressed(text: bytes) -> bytes:
    """The payload of a compressed message that refers to no earlier one."""
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return (stream.compress(text) + stream.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


def inflated(payload: bytes) -> bytes:
    """The text of such a payload. zlib.error when it is none."""
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(payload + TAIL)
