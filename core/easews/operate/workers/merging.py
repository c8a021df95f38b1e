"""Answers of several workers as one. Pure: plain values in, plain values out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from ..control import PoolState, Query, ServerState, SessionPage, SessionState, Status
from ..queries import cursor, order, page_size

#: From healthy to failed. A state that is not listed counts as worst: it may need attention.
_STATES = ("up", "drained", "open", "ejected", "down")


def merged_status(statuses: Sequence[Status]) -> Status:
    """The gateway as a whole; what only the process knows that has started the workers, it fills
    in by itself. At least one worker has answered.
    """
    first, older = statuses[0], merged_older(statuses)
    return {
        **first,
        "older": [{"generation": number, "sessions": older[number]} for number in sorted(older)],
        "sessions": sum(status["sessions"] for status in statuses),
        "draining": sum(status["draining"] for status in statuses),
        "held": sum(status["held"] for status in statuses),
        "kept_behind": sum(status["kept_behind"] for status in statuses),
    }


def merged_older(statuses: Iterable[Status]) -> Mapping[int, int]:
    """How many sessions each of the older generations has."""
    older: Counter[int] = Counter()
    for status in statuses:
        older.update({past["generation"]: past["sessions"] for past in status["older"]})
    return older


def merged_pages(pages: Iterable[SessionPage], query: Query) -> SessionPage:
    """The page that all workers have together. The query was the same for each of them."""
    pages = list(pages)
    found: list[SessionState] = [state for page in pages for state in page["sessions"]]
    found.sort(key=order)
    here = found[: page_size(query)]
    is_last = len(found) == len(here) and all(page["next"] is None for page in pages)
    return {
        "sessions": here,
        "total": sum(page["total"] for page in pages),
        "next": None if is_last or not here else cursor(here[-1]),
    }


def merged_pools(answers: Iterable[list[PoolState]]) -> list[PoolState]:
    """The pools of all workers: a server has what it has to do for all of them, and is as well as
    where it is worst.
    """
    merged: dict[tuple[str, str, int], PoolState] = {}
    for pools in answers:
        for pool in pools:
            place = pool["pipeline"], pool["filter"], pool["pool"]
            if (known := merged.get(place)) is None:
                merged[place] = pool
            else:
                known["servers"] = _servers(known["servers"], pool["servers"])
    return list(merged.values())


def _servers(some: Iterable[ServerState], others: Iterable[ServerState]) -> list[ServerState]:
    """Servers of one pool in two workers, which name them in the same order."""
    made: list[ServerState] = []
    for one, other in zip_longest(some, others):
        if one is None or other is None or one["url"] != other["url"]:  # addresses of a name
            made += filter(None, (one, other))
            continue
        worse = max(one, other, key=_rank)
        made.append({**worse, "active": one["active"] + other["active"]})
    return made


def _rank(server: ServerState) -> int:
    state = server["state"]
    return _STATES.index(state) if state in _STATES else len(_STATES)
