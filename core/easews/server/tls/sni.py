"""Which certificate a client gets, by the server name that it asks for (SNI, RFC 6066 §3). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


def by_name(certificates: Iterable[tuple[Iterable[str], T]]) -> dict[str, T]:
    """Each name of a certificate with what belongs to that; the first one that has a name gets it.

    The empty name, for all others, belongs to the first certificate.
    """
    found: dict[str, T] = {}
    for names, it in certificates:
        for name in ("", *names):
            found.setdefault(name.lower().rstrip("."), it)
    return found


def chosen(known: Mapping[str, T], name: str) -> T:
    """What belongs to `name`: exactly, by a * for its first label (RFC 9525 §6.3), or the first."""
    name = name.lower().rstrip(".")
    if name in known:
        return known[name]
    _, _, parent = name.partition(".")
    return known.get(f"*.{parent}", known[""]) if parent else known[""]
