"""first_answer: which server is asked after which, how long, and who waits for a full one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from itertools import count
from math import inf
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from easews import BadAnswer, ConnectError, Context, UpstreamError, UpstreamTimeout
from easews.testing import make_context
from easews.upstream import (
    Attempt,
    Busy,
    HealthRules,
    NoServer,
    Pool,
    Queue,
    Retries,
    Server,
    first_answer,
)
from easews.upstream.causes import Cause, cause_of, causes
from easews.upstream.health.breaker import BreakerRule
from easews.upstream.health.rules import EjectionRule
from easews.upstream.retries import retry_faults

PATIENCE = 30
LATE = object()  # what a server does that does not answer


_names = count()


class Moment(Awaitable[None]):
    """Is over soon."""

    def __await__(self) -> Generator[Any, None, None]:
        return checkpoint().__await__()


class Answered:
    """What a server has answered."""

    def __init__(self, attempt: Attempt, status: int) -> None:
        self.attempt = attempt
        self.status = status
        self.finished = 0

    def finish(self) -> Awaitable[None] | None:
        self.finished += 1
        self.attempt.over()
        return Moment()


class Servers:
    """A pool whose servers do what they are told: raise, answer with a status, or stay silent."""

    def __init__(self, *does: Any, limit: float = inf, **settings: Any) -> None:
        self.does = does
        self.asked: list[int] = []
        self.replies: list[Answered] = []
        self._name = next(_names)  # what is known of a server outlives a test
        self.servers = [self.server(number, limit) for number in range(len(does))]
        self.pool = Pool(self.servers, **settings)

    def server(self, number: int, limit: float) -> Server:
        return Server.at(f"ws://t{self._name}-s{number}", limit=limit)

    async def ask(self, attempt: Attempt) -> Answered:
        number = int(attempt.server.host.partition("-s")[2])
        self.asked.append(number)
        does = self.does[number]
        if does is LATE:
            await anyio.sleep_forever()
        await checkpoint()
        if isinstance(does, Exception):
            raise does
        self.replies.append(Answered(attempt, does))
        return self.replies[-1]

    async def answer(
        self, ctx: Context | None = None, repeatable: Callable[[], bool] = lambda: True
    ) -> Answered:
        with anyio.fail_after(PATIENCE):
            return await first_answer(self.pool, ctx or make_context(), self.ask, repeatable)

    def nobody_is_busy(self) -> bool:
        return not any(standing.active for standing in self.pool.standings.values())


REFUSED = ConnectError("refused")
TIMEOUT = causes(["timeout"])
HANGS = HealthRules(EjectionRule(failures=2, on=TIMEOUT))
ON_503 = Retries(on=causes([503]))


async def test_the_first_server_that_can_be_reached_answers() -> None:
    servers = Servers(REFUSED, REFUSED, 200)
    reply = await servers.answer()
    assert (servers.asked, reply.status) == ([0, 1, 2], 200)
    reply.finish()
    assert servers.nobody_is_busy()


@pytest.mark.parametrize(
    ("does", "settings", "asked"),
    [
        ((REFUSED, REFUSED), Retries(), [0, 1]),
        ((REFUSED, REFUSED, 200), Retries(attempts=2), [0, 1]),
        ((REFUSED, 200), Retries(on=frozenset()), [0]),
        ((BadAnswer("nonsense"), 200), Retries(on=TIMEOUT), [0]),
        ((UpstreamTimeout("late"), 200), Retries(), [0]),
        ((LATE, 200), Retries(per_try=0.01), [0]),
        ((LATE, LATE), Retries(per_try=0.01, on=TIMEOUT), [0, 1]),
        ((LATE, 200), Retries(deadline=0.01, on=TIMEOUT), [0]),
        ((), Retries(), []),
    ],
)
async def test_when_no_more_servers_may_be_asked_the_last_failure_is_raised(
    does: tuple[Any, ...], settings: Retries, asked: list[int]
) -> None:
    servers = Servers(*does, retries=settings)
    with pytest.raises(UpstreamError):
        await servers.answer()
    assert servers.asked == asked
    assert servers.nobody_is_busy()


async def test_a_server_that_takes_too_long_is_passed_over_where_that_is_configured() -> None:
    servers = Servers(LATE, 200, retries=Retries(per_try=0.01, on=TIMEOUT))
    ctx = make_context()
    assert (await servers.answer(ctx)).status == 200
    assert ctx.backend == servers.servers[1].url


@pytest.mark.parametrize("words", [[503], ["5xx"]])
async def test_a_status_may_be_a_reason_to_ask_another_server(words: list[Cause]) -> None:
    servers = Servers(503, 200, retries=Retries(on=causes(words)))
    reply = await servers.answer()
    assert (reply.status, servers.asked) == (200, [0, 1])
    assert [it.finished for it in servers.replies] == [1, 0]
    assert servers.pool.retried == 1


async def test_the_last_server_has_the_last_word() -> None:
    servers = Servers(503, 503, retries=ON_503)
    reply = await servers.answer()
    assert (reply.status, reply.finished, servers.asked) == (503, 0, [0, 1])


async def test_what_cannot_be_repeated_is_not() -> None:
    servers = Servers(503, 200, retries=ON_503)
    assert (await servers.answer(repeatable=lambda: False)).status == 503
    servers = Servers(UpstreamTimeout("late"), 200, retries=Retries(on=TIMEOUT))
    with pytest.raises(UpstreamTimeout):
        await servers.answer(repeatable=lambda: False)
    servers = Servers(REFUSED, 200)  # it says by itself that nothing was sent
    assert (await servers.answer(repeatable=lambda: False)).status == 200


TIMES = [
    (Retries(per_try=0.01), r"within 0\.01 s \(retries\.perTry\)"),
    (Retries(per_try=PATIENCE, deadline=0.01), r"within 0\.01 s \(retries\.deadline\)"),
    (Retries(deadline=PATIENCE).within(0.01, "timeout"), r"within 0\.01 s \(timeout\)"),
    (Retries(deadline=0.01).within(PATIENCE, "timeout"), r"within 0\.01 s \(retries\.deadline\)"),
]


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Has so many seconds pass, for those who look at the clock."""
    passed, current_time = [0.0], anyio.current_time
    monkeypatch.setattr(anyio, "current_time", lambda: current_time() + sum(passed))
    return passed.append


@pytest.mark.parametrize(("retries", "said"), TIMES)
async def test_a_server_that_hangs_is_to_blame_whatever_time_runs_out(
    retries: Retries, said: str
) -> None:
    servers = Servers(LATE, retries=retries, health=HANGS)
    for state in ("up", "ejected"):
        with pytest.raises(UpstreamTimeout, match=said) as caught:
            await servers.answer()
        assert str(caught.value).startswith(f"{servers.servers[0].url}: ")
        assert servers.pool.states()[0].state == state
    assert servers.nobody_is_busy()


async def test_a_server_that_hangs_opens_its_circuit_breaker() -> None:
    rule = BreakerRule(50, window=2, minimum=2, wait=60.0, trials=1, on=TIMEOUT)
    servers = Servers(LATE, retries=Retries(deadline=0.01), health=HealthRules(breaker=rule))
    for _ in range(2):
        with pytest.raises(UpstreamTimeout):
            await servers.answer()
    with pytest.raises(NoServer):
        await servers.answer()


async def test_the_last_server_has_what_is_left_of_the_deadline(
    pass_time: Callable[[float], None],
) -> None:
    servers = Servers(REFUSED, LATE, 200, retries=Retries(per_try=100, deadline=1000))

    async def ask(attempt: Attempt) -> Answered:
        if attempt.server is servers.servers[0]:
            pass_time(999.7)
        return await servers.ask(attempt)

    with anyio.fail_after(PATIENCE), pytest.raises(UpstreamTimeout, match=r"s1: .*deadline"):
        await first_answer(servers.pool, make_context(), ask)
    assert servers.asked == [0, 1]


async def test_when_the_deadline_has_passed_the_answer_that_is_there_is_the_last(
    pass_time: Callable[[float], None],
) -> None:
    servers = Servers(503, 200, retries=Retries(deadline=1000, on=ON_503.on))

    async def ask(attempt: Attempt) -> Answered:
        reply = await servers.ask(attempt)
        pass_time(1000)
        return reply

    reply = await first_answer(servers.pool, make_context(), ask)
    assert (reply.status, reply.finished) == (503, 0)


async def test_no_server_is_asked_when_letting_go_of_an_answer_has_taken_too_long(
    pass_time: Callable[[float], None],
) -> None:
    servers = Servers(503, 200, retries=Retries(deadline=1000, on=ON_503.on), health=HANGS)

    class Slow(Answered):
        def finish(self) -> Awaitable[None] | None:
            pass_time(1000)
            return super().finish()

    async def ask(attempt: Attempt) -> Answered:
        reply = await servers.ask(attempt)
        return Slow(attempt, reply.status)

    with pytest.raises(UpstreamTimeout, match=r"no server .*retries\.deadline"):
        await first_answer(servers.pool, make_context(), ask)
    assert servers.asked == [0]
    assert [one.last_error for one in servers.pool.states()] == ["", ""]
    assert servers.nobody_is_busy()


async def test_a_deadline_that_ends_a_wait_in_the_queue_blames_nobody() -> None:
    retries, queue = Retries(deadline=0.01), Queue(1, PATIENCE)
    servers = Servers(200, limit=1, queue=queue, retries=retries, health=HANGS)
    busy = servers.pool.next(make_context().request)
    assert busy is not None
    for _ in range(2):
        with pytest.raises(UpstreamTimeout, match=r"no server .* 0\.01 s \(retries\.deadline\)"):
            await servers.answer()
    busy.over()
    assert servers.asked == []
    assert [one.last_error for one in servers.pool.states()] == [""]
    assert servers.nobody_is_busy()


@pytest.mark.parametrize(("passed", "said"), [(999.9, "s0: no answer"), (1000, "no server")])
async def test_the_wait_in_the_queue_counts_towards_the_deadline(
    pass_time: Callable[[float], None], passed: float, said: str
) -> None:
    retries, queue = Retries(deadline=1000), Queue(1, 2000)
    servers = Servers(LATE, limit=1, queue=queue, retries=retries)
    busy = servers.pool.next(make_context().request)
    assert busy is not None

    async def wait() -> None:
        with pytest.raises(UpstreamTimeout, match=said):
            await servers.answer()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        pass_time(passed)
        busy.over()
    assert servers.nobody_is_busy()


async def test_a_client_that_leaves_blames_no_server() -> None:
    retries = Retries(per_try=PATIENCE, deadline=PATIENCE)
    servers = Servers(LATE, retries=retries, health=HANGS)
    for _ in range(3):
        with anyio.move_on_after(0.01):
            await servers.answer()
    assert servers.pool.states()[0].last_error == ""
    assert servers.nobody_is_busy()


async def test_without_any_limit_no_scope_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = Servers(200)

    def scope(*args: Any, **kwargs: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("easews.upstream.turns.anyio.move_on_after", scope)
    monkeypatch.setattr("easews.upstream.turns.anyio.CancelScope", scope)
    reply = await first_answer(servers.pool, make_context(), servers.ask)
    assert reply.status == 200


async def test_a_request_that_is_cancelled_occupies_no_server() -> None:
    servers = Servers(LATE)
    with anyio.move_on_after(0.01):
        await servers.answer()
    assert servers.nobody_is_busy()


async def test_a_full_server_is_passed_over_and_full_pools_refuse() -> None:
    servers = Servers(200, 200, limit=1)
    replies = [await servers.answer() for _ in range(2)]
    assert servers.asked == [0, 1]
    with pytest.raises(Busy):
        await servers.answer()
    replies[1].finish()
    await servers.answer()
    assert servers.asked == [0, 1, 1]


@pytest.mark.parametrize("count", [1, 2])
async def test_requests_wait_in_their_order_for_a_server_that_is_full(count: int) -> None:
    servers = Servers(*[200] * count, limit=1, queue=Queue(2, PATIENCE))
    replies = [await servers.answer() for _ in range(count)]
    done: list[str] = []

    async def wait(name: str) -> None:
        reply = await servers.answer()
        done.append(name)
        reply.finish()

    async with anyio.create_task_group() as tasks:
        for name in ("first", "second"):
            tasks.start_soon(wait, name)
            await anyio.wait_all_tasks_blocked()
        with pytest.raises(Busy, match="queue"):
            await servers.answer()
        assert done == []
        replies[-1].finish()
    assert done == ["first", "second"]
    assert sum(standing.active for standing in servers.pool.standings.values()) == count - 1


async def test_a_request_does_not_wait_for_ever() -> None:
    servers = Servers(200, limit=1, queue=Queue(1, 0.01))
    reply = await servers.answer()
    with pytest.raises(Busy, match=r"queue\.timeout"):
        await servers.answer()
    reply.finish()
    (await servers.answer()).finish()
    assert servers.nobody_is_busy()


async def test_a_client_that_leaves_makes_room_in_the_queue() -> None:
    servers = Servers(200, limit=1, queue=Queue(1, PATIENCE))
    reply = await servers.answer()
    with anyio.move_on_after(0.01):
        await servers.answer()
    async with anyio.create_task_group() as tasks:

        async def leave_with_the_turn() -> None:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                await servers.answer()

        scopes: list[anyio.CancelScope] = []
        tasks.start_soon(leave_with_the_turn)
        await anyio.wait_all_tasks_blocked()
        reply.finish()  # it is its turn, and in the same moment it leaves
        scopes[0].cancel()
    (await servers.answer()).finish()
    assert servers.nobody_is_busy()


async def test_a_server_that_comes_serves_those_who_wait() -> None:
    servers = Servers(200, 200, limit=1, queue=Queue(1, PATIENCE))
    servers.pool.replace(servers.servers[:1])
    await servers.answer()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(servers.answer)
        await anyio.wait_all_tasks_blocked()
        servers.pool.replace(servers.servers)
    assert servers.asked == [0, 1]


SOON_BACK = [
    HealthRules(EjectionRule(failures=1, shortest=0.1)),
    HealthRules(
        EjectionRule(failures=0),
        breaker=BreakerRule(50, window=1, minimum=1, wait=0.1, trials=2, on=causes(["connect"])),
    ),
]


@pytest.mark.parametrize("health", SOON_BACK, ids=["ejection", "breaker"])
async def test_a_server_that_time_brings_back_serves_those_who_wait(health: HealthRules) -> None:
    servers = Servers(200, REFUSED, limit=1, queue=Queue(1, PATIENCE), health=health)
    await servers.answer()
    with pytest.raises(ConnectError):
        await servers.answer()
    servers.does = (200, 200)
    await servers.answer()  # nobody else asks
    assert servers.asked == [0, 1, 1]


@pytest.mark.parametrize("health", SOON_BACK, ids=["ejection", "breaker"])
async def test_so_does_one_that_has_failed_while_they_wait(health: HealthRules) -> None:
    servers = Servers(200, 200, limit=2, queue=Queue(2, PATIENCE), health=health)
    attempts = [servers.pool.next(make_context().request) for _ in range(4)]
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(servers.answer)
        await anyio.wait_all_tasks_blocked()
        for attempt in attempts:
            if attempt is not None and attempt.server is servers.servers[1]:
                attempt.failed(REFUSED)
                attempt.over()
    assert servers.asked == [1, 1]


async def test_nobody_waits_for_a_pool_without_a_server_that_is_well() -> None:
    servers = Servers(200, limit=1, queue=Queue(1, PATIENCE))
    servers.pool.members[0].usable = False
    servers.pool.changed()
    with pytest.raises(NoServer, match="no server of the pool is well") as caught:
        await servers.answer()
    assert not isinstance(caught.value, Busy)


def test_a_try_is_not_longer_than_all_of_them() -> None:
    spec = {"on": ["connect", 503], "perTry": 5.0, "deadline": 2.0, "attempts": 3}
    (fault,) = retry_faults(spec, ("retries",))
    assert fault.path == ("retries", "perTry")
    assert not list(retry_faults(spec | {"deadline": 0}, ()))
    assert not list(retry_faults(spec | {"deadline": 5.0}, ()))
    assert list(retry_faults(spec | {"deadline": 0.5}, ()))
    assert Retries.from_spec(spec) == Retries(3, 5.0, 2.0, frozenset({"connect", 503}))
    assert Retries.from_spec({"on": [], "perTry": 0, "deadline": 0}) == Retries(on=frozenset())


def test_the_shorter_of_two_deadlines_holds() -> None:
    assert Retries(deadline=5).within(2, "timeout") == Retries(deadline=2, setting="timeout")
    assert Retries(deadline=2).within(2, "timeout") == Retries(deadline=2)


def test_a_failure_that_no_config_names_has_no_word() -> None:
    errors = ConnectError(""), UpstreamTimeout(""), BadAnswer("")
    assert [cause_of(error) for error in errors] == ["connect", "timeout", ""]
