"""Masking of payloads (RFC 6455 §5.3), in Python. `_loop.c` has the same, eight bytes at a time."""

from __future__ import annotations


def apply_mask(data: bytes | bytearray | memoryview, key: bytes) -> bytes:
    """`data` with the four bytes of `key` applied over and over: masked, or unmasked again.

    A payload in pieces needs the key rotated by the bytes that went before: see `rotate`.
    """
    size = len(data)
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data) ^ int.from_bytes(keys)).to_bytes(size)


def rotate(key: bytes, size: int) -> bytes:
    """The key for what follows the first `size` bytes of a payload."""
    phase = size % 4
    return key[phase:] + key[:phase]
