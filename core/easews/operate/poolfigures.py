"""Pools and their servers as figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import get_args

from ..observe.metrics.catalogue import (
    BACKEND_ACTIVE,
    BACKEND_EJECTIONS,
    BACKEND_STATE,
    POOL_RETRIES,
    POOL_WAITING,
    Figures,
    Labels,
    Row,
)
from ..owners import Owner
from ..upstream import RunningPool, State, running_pools

_STATES: tuple[str, ...] = get_args(State)


def pool_figures(owners: Iterable[Owner]) -> Iterator[Figures]:
    """The figures of the pools of these filters.

    What a server has to do is known once for all pools that have it, so it has no label of one.
    """
    pools = running_pools(owners)
    standings = {url: standing for it in pools for url, standing in it.pool.standings.items()}
    yield BACKEND_STATE, [row for it in pools for row in _states(it)]
    yield BACKEND_ACTIVE, [((url,), it.active) for url, it in standings.items()]
    yield BACKEND_EJECTIONS, [((url,), it.ejection.times) for url, it in standings.items()]
    yield POOL_RETRIES, [(_labels(it), it.pool.retried) for it in pools]
    yield POOL_WAITING, [(_labels(it), len(it.pool.line)) for it in pools]


def _labels(it: RunningPool) -> Labels:
    return it.pipeline, it.filter, str(it.index)


def _states(it: RunningPool) -> Iterator[Row]:
    states = {server.url: server.state for server in it.pool.states()}
    for url, at in states.items():
        for state in _STATES:
            yield (*_labels(it), url, state), int(state == at)
