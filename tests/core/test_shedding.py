"""Sessions are closed after a scale-out: the pool, its sessions and the task that closes them."""

from __future__ import annotations

import anyio

from easews import Request
from easews.upstream import Pool, Server
from easews.upstream.attempts import Attempt
from easews.upstream.balance.rebalancing import Rebalance
from easews.upstream.shedding import Rebalancing
from easews.upstream.succession import Succession

REQUEST = Request("GET", "/")
QUICK = Rebalance(per_minute=60_000)


class Closable:
    """A session that only knows how it was closed. It is over when the test says so."""

    def __init__(self, closed: list[tuple[str, int]], attempt: Attempt) -> None:
        self._closed = closed
        self.attempt = attempt
        attempt.opened(self)  # type: ignore[arg-type]

    def close(self, code: int, reason: str) -> None:
        self._closed.append((self.attempt.server.host, code))


def pool_of(*names: str) -> tuple[Pool, Rebalancing]:
    """A pool that keeps lists of its sessions, and what closes them when a test says so."""
    pool, rebalancing = Pool(servers(*names), rebalance=QUICK), Rebalancing(QUICK, Succession())
    rebalancing.update(pool.members)
    return pool, rebalancing


def change(pool: Pool, rebalancing: Rebalancing, *names: str) -> None:
    pool.replace(servers(*names))
    rebalancing.update(pool.members)


def servers(*names: str) -> list[Server]:
    return [Server.at(f"ws://{name}") for name in names]


def open_sessions(pool: Pool, count: int, closed: list[tuple[str, int]]) -> list[Closable]:
    attempts = [pool.next(REQUEST) for _ in range(count)]
    return [Closable(closed, attempt) for attempt in attempts if attempt is not None]


def test_new_servers_get_their_share_of_the_sessions() -> None:
    pool, rebalancing = pool_of("a", "b")
    closed: list[tuple[str, int]] = []
    open_sessions(pool, 12, closed)
    assert not rebalancing.close_one()
    change(pool, rebalancing, "a", "b", "c")
    while rebalancing.close_one():
        pass
    assert sorted(closed) == [("a", 1012)] * 2 + [("b", 1012)] * 2


def test_sessions_that_are_over_count_no_longer() -> None:
    pool, rebalancing = pool_of("a")
    closed: list[tuple[str, int]] = []
    for session in open_sessions(pool, 12, closed)[:10]:
        session.attempt.over()
    change(pool, rebalancing, "a", "b")
    while rebalancing.close_one():
        pass
    assert closed == [("a", 1012)]


def test_a_server_that_is_usable_again_is_a_scale_out() -> None:
    pool, rebalancing = pool_of("a", "b")
    closed: list[tuple[str, int]] = []
    pool.members[1].usable = False
    pool.changed()
    open_sessions(pool, 12, closed)
    rebalancing.update(pool.members)
    assert not rebalancing.close_one()
    pool.members[1].usable = True
    rebalancing.update(pool.members)
    assert rebalancing.close_one()


def test_a_server_that_leaves_is_no_scale_out() -> None:
    pool, rebalancing = pool_of("a", "b", "c")
    open_sessions(pool, 9, [])
    change(pool, rebalancing, "a", "b")
    assert not rebalancing.close_one()


async def test_a_pool_closes_sessions_as_soon_as_it_has_new_servers() -> None:
    closed: list[tuple[str, int]] = []
    with anyio.fail_after(20):
        async with Pool(servers("a"), rebalance=QUICK) as pool:
            open_sessions(pool, 2, closed)
            pool.replace(servers("a", "b"))
            while not closed:  # noqa: ASYNC110 - a session has no event
                await anyio.sleep(0.01)
    assert closed == [("a", 1012)]


def test_without_rebalance_nobody_keeps_a_list_of_sessions() -> None:
    pool = Pool(servers("a"))
    open_sessions(pool, 1, [])
    assert pool.members[0].sessions is None
