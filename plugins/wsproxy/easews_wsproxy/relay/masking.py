"""Payloads and their masks (RFC 6455 §5.3), in Python. `_loop.c` has the same but for `rotate`."""

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


def payload_of(data: bytes | bytearray | memoryview, key: bytes, is_text: bool) -> str | bytes:
    """What `data` is once it is unmasked; b"" for a `key` when it is not masked.

    UnicodeDecodeError when a text is not UTF-8.
    """
    plain = apply_mask(data, key) if key else bytes(data)
    return plain.decode() if is_text else plain


def is_ascii(data: bytes | bytearray | memoryview, key: bytes) -> bool:
    """Whether `data` has only ASCII once it is unmasked; `key` as above."""
    return (apply_mask(data, key) if key else bytes(data)).isascii()


def lengthen(data: bytearray, size: int) -> None:
    """Make `data` `size` bytes long. What the new ones are is undefined: they are to be written."""
    data.extend(bytes(size - len(data)))


def keep_freed_memory() -> None:
    """Have the C library use the memory of one large message for the next. In Python nothing can be
    done about that.
    """
