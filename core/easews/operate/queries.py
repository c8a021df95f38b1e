"""Which sessions a query means, and one page of them. Pure: states in, a page out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import dropwhile, islice
from typing import Literal, get_args

from .control import Query, Refused, SessionPage, SessionState

Exact = Literal["client", "server", "route", "pipeline", "backend", "path"]
#: The fields that a query asks for as they are.
EXACT: tuple[Exact, ...] = get_args(Exact)
#: How many sessions a page has, and how many at most.
LIMIT, MOST = 100, 1000


def has_condition(query: Query) -> bool:
    """Whether it asks for anything of a session."""
    return any(query.get(name) for name in (*EXACT, "labels", "ids", "search"))


def chosen(states: Iterable[SessionState], query: Query) -> Iterator[SessionState]:
    """Those that the query means, whatever page it asks for. An empty text asks for nothing."""
    exact = [(name, query[name]) for name in EXACT if query.get(name)]
    labels = query.get("labels", {}).items()
    ids = frozenset(query.get("ids", ()))
    search = query.get("search", "").casefold()
    for state in states:
        if (
            all(state[name] == value for name, value in exact)
            and labels <= state["labels"].items()
            and (not ids or state["id"] in ids)
            and (not search or _has(state, search))
        ):
            yield state


def page(states: Iterable[SessionState], query: Query) -> SessionPage:
    """A page of the chosen ones, oldest first. Refused when the query's `after` is none."""
    found = sorted(states, key=order)
    rest: Iterator[SessionState] = iter(found)
    if after := query.get("after"):
        last = _place(after)
        rest = dropwhile(lambda state: order(state) <= last, found)
    here = list(islice(rest, page_size(query)))
    is_last = next(rest, None) is None
    return {
        "sessions": here,
        "total": len(found),
        "next": None if is_last else cursor(here[-1]),
    }


def page_size(query: Query) -> int:
    """How many sessions a page has at most."""
    return max(1, min(query.get("limit", LIMIT), MOST))


def _has(state: SessionState, text: str) -> bool:
    own = (state["id"], *(state[name] for name in EXACT))
    texts = (*own, *state["labels"].keys(), *state["labels"].values())
    return any(text in it.casefold() for it in texts)


def order(state: SessionState) -> tuple[float, str]:
    """By what sessions are sorted."""
    return state["opened"], state["id"]


def cursor(state: SessionState) -> str:
    """Where a page ends. Its session may be over when the next page is asked for."""
    return f"{state['opened']!r}~{state['id']}"


def _place(cursor: str) -> tuple[float, str]:
    opened, tilde, name = cursor.partition("~")
    try:
        when = float(opened)
    except ValueError:
        when = math.nan
    if not tilde or not math.isfinite(when):
        raise Refused("'after' is not what a page has as its 'next'")
    return when, name
