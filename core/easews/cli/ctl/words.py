"""Ages, sizes and counts for people. Pure."""

from __future__ import annotations

_AGES = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")


def age(seconds: float) -> str:
    """The two largest units, such as `2h 5m`."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in _AGES:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{unit}")
    shown = [part for part in parts[:2] if part[0] != "0"]
    return " ".join(shown) or "0s"


def size(count: int) -> str:
    """Bytes in the unit that leaves at most four digits, such as `1.2 KiB`."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_SIZES) - 1:
        value, unit = value / 1024, unit + 1
    if unit == 0:
        return f"{count} B"
    return f"{value:.1f} {_SIZES[unit]}" if value < 100 else f"{value:.0f} {_SIZES[unit]}"


def count(number: int) -> str:
    """With commas between thousands."""
    return f"{number:,}"


def duration(seconds: float | None) -> str:
    """A short time, such as `12 ms`; `-` where it is not known."""
    if seconds is None:
        return "-"
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"
