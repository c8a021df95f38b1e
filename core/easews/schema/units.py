"""Durations and sizes as people write them: `1h30m` is 5400.0 seconds, `64KiB` is 65536 bytes."""

from __future__ import annotations

import re
from collections.abc import Callable

_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_BYTES = {"": 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}

_DURATION = re.compile("".join(rf"(?:([0-9]+(?:\.[0-9]+)?){unit})?" for unit in _SECONDS))
_SIZE = re.compile(r"([0-9]+)([A-Za-z]*)")


def seconds(text: str | int) -> float:
    """`500ms`, `30s`, `2h`, `1h30m` or 0 in seconds. ValueError for anything else."""
    if str(text) == "0":
        return 0.0
    match = _DURATION.fullmatch(str(text))
    if match is None or not any(match.groups()):
        raise ValueError("not a duration")
    return sum(
        float(number) * unit
        for number, unit in zip(match.groups("0"), _SECONDS.values(), strict=True)
    )


def size(text: str | int) -> int:
    """`64KiB`, `4MiB` or a number in bytes; -1 stays what it is. ValueError for anything else."""
    if isinstance(text, int):
        return text
    match = _SIZE.fullmatch(text)
    if match is None or match[2] not in _BYTES:
        raise ValueError("not a size")
    return int(match[1]) * _BYTES[match[2]]


def written_size(count: int) -> str:
    """Bytes as a config would have them: 65536 is `64KiB`."""
    fitting = [unit for unit in _BYTES if unit and count % _BYTES[unit] == 0]
    unit = fitting[-1] if count else "B"
    return f"{count // _BYTES[unit]}{unit}"


def written_seconds(count: float) -> str:
    """Seconds as a config would have them: 30.0 is `30s`, 0.5 is `500ms`."""
    return f"{count:.15g}s" if count >= 1 else f"{count * 1000:.15g}ms" if count else "0s"


#: The converter of each `x-unit` of a schema.
UNITS: dict[str, Callable[..., float | int]] = {"seconds": seconds, "bytes": size}
