"""A pool and the health of its servers: who is chosen, on a clock that the test moves."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import BadAnswer, ConnectError, Request, UpstreamTimeout
from easews.sessions import Opening
from easews.testing import OpenSession
from easews.upstream import Attempt, HealthRules, Pool, Queue, Server
from easews.upstream.causes import Cause, causes
from easews.upstream.health.breaker import BreakerRule
from easews.upstream.health.checks import Check, TcpCheck
from easews.upstream.health.configured import health_faults
from easews.upstream.health.rules import EjectionRule

REQUEST = Request("GET", "/")
CHECKED = HealthRules(check=Check(TcpCheck(), fails=2))

_names = count()


class Farm:
    """A pool with a clock of its own. Its servers are a, b, c …"""

    def __init__(self, size: int, rules: HealthRules | None = None, **settings: Any) -> None:
        self.now = 1000.0
        number = next(_names)  # what is known of a server outlives a test
        servers = [Server.at(f"ws://{'abcdefghi'[n]}{number}") for n in range(size)]
        self.pool = Pool(servers, health=rules, **settings)
        self.pool._availability._clock = lambda: self.now
        for member in self.pool.members:
            member.standing.known_since = 0

    def attempt(self, *tried: Server) -> Attempt:
        attempt = self.pool.next(REQUEST, tried)
        assert attempt is not None
        attempt.over()
        return attempt

    def chosen(self, times: int = 20) -> str:
        """Who is asked, of so many requests."""
        attempts = [self.pool.next(REQUEST) for _ in range(times)]
        for attempt in attempts:
            if attempt is not None:
                attempt.over()
        return "".join(sorted({attempt.server.host[0] for attempt in attempts if attempt}))

    def fail(self, name: str, times: int = 3, error: Exception | None = None) -> None:
        for _ in range(times):
            self.of(name).failed(ConnectError("refused") if error is None else error)

    def of(self, name: str) -> Attempt:
        others = [one.server for one in self.pool.members if one.server.host[0] != name]
        return self.attempt(*others)

    def check(self, name: str, *results: bool) -> None:
        """So do the checks of this server end."""
        (member,) = [one for one in self.pool.members if one.server.host[0] == name]
        assert member.checkup is not None
        for passed in results:
            if passed:
                member.checkup.passed(self.now)
            else:
                member.checkup.failed("refused", self.now)
        member.standing.tell()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, "easews.upstream"):
        yield caplog


def test_a_server_that_fails_three_times_is_not_asked_for_a_while(
    log: pytest.LogCaptureFixture,
) -> None:
    farm = Farm(3)
    farm.fail("a", 2)
    assert farm.chosen() == "abc"
    url = farm.pool.members[0].server.url
    farm.fail("a", 1, ConnectError(f"{url}: refused"))
    assert farm.chosen() == "bc"
    assert log.messages == [
        f"{url} is ejected for 10 s: 3 failures in a row, the last one: refused"
    ]
    farm.now += 10
    assert farm.chosen() == "abc"


def test_a_server_that_answers_is_back(log: pytest.LogCaptureFixture) -> None:
    farm = Farm(2)
    early = farm.of("a")
    farm.fail("a")
    assert farm.chosen() == "b"
    early.succeeded(101)
    assert farm.chosen() == "ab"
    assert log.messages[1:] == [f"{early.server.url} has answered: it is used again"]


def test_a_failure_that_does_not_count_is_shown() -> None:
    farm = Farm(2)
    farm.fail("a", 9, BadAnswer("no HTTP"))
    assert farm.chosen() == "ab"
    first = farm.pool.states()[0]
    assert (first.url, first.state) == (farm.pool.members[0].server.url, "up")
    assert first.last_error == "no HTTP"


def test_no_server_is_ejected_where_it_has_no_other(log: pytest.LogCaptureFixture) -> None:
    farm = Farm(1)
    farm.fail("a", 9)
    assert farm.chosen() == "a"
    assert log.messages == []
    assert farm.pool.states()[0].last_error == "refused"


@pytest.mark.parametrize(
    ("error", "status", "on"),
    [
        (ConnectError("refused"), 0, "connect"),
        (UpstreamTimeout("no answer"), 0, "timeout"),
        (None, 503, "5xx 503"),
        (None, 501, "5xx"),
        (BadAnswer("no HTTP"), 0, ""),
        (None, 429, "429"),
        (None, 404, ""),
    ],
)
def test_those_failures_eject_that_the_config_names(
    error: Exception | None, status: int, on: str
) -> None:
    words: list[Cause] = ["connect", "timeout", "5xx", 503, 429]
    for word in words:
        farm = Farm(2, HealthRules(EjectionRule(failures=1, on=causes([word]))))
        attempt = farm.of("a")
        if error is None:
            attempt.succeeded(status)
        else:
            attempt.failed(error)
        assert farm.chosen() == ("b" if str(word) in on.split() else "ab")


def test_what_one_pool_has_found_counts_for_all_that_name_the_server() -> None:
    farm = Farm(2)
    other = Farm(0)
    other.pool.replace([member.server for member in farm.pool.members])
    farm.fail("a")
    assert other.chosen() == "b"


def test_a_server_that_is_down_is_not_asked_until_it_is_up_again() -> None:
    farm = Farm(2, CHECKED)
    farm.check("a", False)
    assert farm.chosen() == "ab"
    farm.check("a", False)
    assert farm.chosen() == "b"
    farm.now += 5000
    assert farm.chosen() == "b"
    farm.check("a", True)
    assert farm.chosen() == "ab"


@pytest.mark.parametrize("size", [1, 2])
def test_without_a_server_that_is_up_nobody_is_asked(size: int) -> None:
    farm = Farm(size, CHECKED)
    for name in "ab"[:size]:
        farm.check(name, False, False)
    assert farm.pool.next(REQUEST) is None
    assert not farm.pool.full
    farm.check("a", True)
    assert farm.chosen() == "a"


def test_with_too_few_servers_left_all_are_used(log: pytest.LogCaptureFixture) -> None:
    farm = Farm(4, HealthRules(check=CHECKED.check, panic_below=50))
    farm.check("a", False, False)
    farm.check("b", False, False)
    assert farm.chosen() == "cd"
    farm.check("c", False, False)
    assert farm.chosen() == "abcd"
    farm.check("c", False)
    assert farm.chosen() == "abcd"
    assert log.messages == ["too few of 4 servers are well: all of them are used"]


def test_a_server_that_is_back_gets_its_share_little_by_little() -> None:
    farm = Farm(2, HealthRules(check=CHECKED.check, slow_start=20))
    farm.check("a", False, False)
    farm.check("a", True)
    shares = []
    for later in (0, 10, 10):
        farm.now += later
        hosts = [farm.attempt().server.host[0] for _ in range(300)]
        shares.append(hosts.count("a") / len(hosts))
    assert shares == pytest.approx([0.1 / 1.1, 0.55 / 1.55, 0.5], abs=0.02)


def test_a_server_that_is_new_begins_with_less_too() -> None:
    farm = Farm(2, HealthRules(slow_start=20))
    farm.pool.members[1].standing.known_since = farm.now
    farm.pool.health_changed()
    hosts = [farm.attempt().server.host[0] for _ in range(110)]
    assert hosts.count("b") == pytest.approx(10, abs=1)


def test_whoever_waits_gets_a_server_that_is_up_again() -> None:
    farm = Farm(2, CHECKED, queue=Queue(5, 30))
    for member in farm.pool.members:
        member.limit = 1
    farm.check("b", False, False)
    busy = farm.pool.next(REQUEST)
    woken: list[str] = []
    waiting = farm.pool.line.join(REQUEST, lambda: woken.append("!"))
    assert busy is not None
    assert waiting is not None
    farm.check("b", True)
    assert woken
    assert waiting.attempt is not None
    assert waiting.attempt.server.host[0] == "b"


def test_a_server_that_is_up_again_serves_each_of_those_who_wait_once() -> None:
    farm = Farm(2, CHECKED, queue=Queue(5, 30))
    for member in farm.pool.members:
        member.limit = 2
    farm.check("b", False, False)
    busy = [farm.pool.next(REQUEST) for _ in range(2)]
    waiting = farm.pool.line.join(REQUEST, lambda: None)
    assert all(busy)
    assert waiting is not None
    farm.check("b", True)
    assert waiting.attempt is not None
    assert [standing.active for standing in farm.pool.standings.values()] == [2, 1]


def test_the_state_of_each_server_can_be_read() -> None:
    farm = Farm(3, CHECKED)
    assert [(one.state, one.last_error) for one in farm.pool.states()] == [("up", "")] * 3
    farm.check("a", False, False)
    farm.fail("b")
    farm.now += 7
    down, ejected, up = farm.pool.states()
    assert (down.state, down.seconds, down.last_error) == ("down", 7, "refused")
    assert (ejected.state, ejected.seconds, ejected.last_error) == ("ejected", 7, "refused")
    assert (up.state, up.seconds, up.active) == ("up", float("inf"), 0)


@pytest.mark.parametrize("on_unhealthy", ["keep", "drain"])
def test_open_sessions_are_listed_only_where_they_may_be_closed(on_unhealthy: Any) -> None:
    farm = Farm(2, HealthRules(check=Check(TcpCheck(), on_unhealthy=on_unhealthy)))
    attempt = farm.pool.next(REQUEST)
    assert attempt is not None
    session = OpenSession(Opening("1"))
    attempt.opened(session)
    lists = [member.sessions for member in farm.pool.members]
    assert lists == ([None, None] if on_unhealthy == "keep" else [{session}, set()])
    attempt.over()
    assert not any(lists)


BREAKING = HealthRules(
    EjectionRule(failures=0),
    breaker=BreakerRule(50, window=4, minimum=2, wait=10.0, trials=2, on=frozenset({"connect"})),
)


def asked(farm: Farm, *outcomes: bool) -> None:
    """Requests to the only server: it answers, or cannot be reached."""
    for answers in outcomes:
        attempt = farm.pool.next(REQUEST)
        assert attempt is not None
        if answers:
            attempt.succeeded(503)
        else:
            attempt.failed(ConnectError("refused"))
        attempt.over()


def test_too_many_failures_open_the_breaker_and_trials_close_it(
    log: pytest.LogCaptureFixture,
) -> None:
    farm = Farm(1, BREAKING)
    asked(farm, True, False)
    farm.now += 3
    assert farm.pool.next(REQUEST) is None
    (state,) = farm.pool.states()
    assert (state.state, state.seconds) == ("open", 3)
    farm.now += 7
    trials = [farm.pool.next(REQUEST) for _ in range(3)]
    assert trials[2] is None
    for trial in trials[:2]:
        assert trial is not None
        trial.succeeded(200)
        trial.over()
    asked(farm, True)
    url = farm.pool.members[0].server.url
    assert log.messages == [
        f"the circuit breaker of {url} is open for 10 s",
        f"the circuit breaker of {url} is closed",
    ]


def test_a_trial_that_fails_opens_it_again_and_one_whose_client_leaves_is_repeated() -> None:
    farm = Farm(1, BREAKING)
    asked(farm, True, False)
    farm.now += 10
    asked(farm, False)
    assert farm.pool.next(REQUEST) is None
    farm.now += 10
    for _ in range(5):
        farm.attempt()
    asked(farm, True, True)
    assert farm.chosen() == "a"


@pytest.mark.parametrize("how", ["left", "refused", "answered"])
def test_requests_from_before_the_breaker_opened_are_no_trials(how: str) -> None:
    farm = Farm(1, BREAKING)
    early = [farm.pool.next(REQUEST) for _ in range(2)]
    asked(farm, True, False)
    farm.now += 10
    assert farm.pool.next(REQUEST) is not None
    for attempt in early:
        assert attempt is not None
        if how == "refused":
            attempt.failed(ConnectError("refused"))
        elif how == "answered":
            attempt.succeeded(200)
        attempt.over()
    assert [farm.pool.next(REQUEST) is None for _ in range(3)] == [False, True, True]


def test_a_breaker_that_closes_serves_those_who_wait() -> None:
    farm = Farm(1, BREAKING, queue=Queue(1, 5))
    asked(farm, True, False)
    farm.now += 10
    trials = [farm.pool.next(REQUEST) for _ in range(2)]
    waiting = farm.pool.line.join(REQUEST, lambda: None)
    assert waiting is not None
    for trial in trials:
        assert trial is not None
        assert waiting.attempt is None
        trial.succeeded(101)  # the session stays open
    assert waiting.attempt is not None


def test_servers_whose_breaker_is_closed_take_over() -> None:
    farm = Farm(2, BREAKING)
    farm.fail("a", 2)
    assert farm.chosen() == "b"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["down", "up", "fail", "answer", "wait", "open", "close"]),
        st.sampled_from("abcd"),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_happens_a_server_that_is_up_is_found_and_counts_are_right(
    steps: list[tuple[str, str]],
) -> None:
    farm = Farm(4, CHECKED)
    down: set[str] = set()
    sessions: list[Attempt] = []
    for step, name in steps:
        if step == "down":
            farm.check(name, False, False)
            down.add(name)
        elif step == "up":
            farm.check(name, True)
            down.discard(name)
        elif step == "wait":
            farm.now += 15
        elif step == "open" and (attempt := farm.pool.next(REQUEST)) is not None:
            sessions.append(attempt)
        elif step == "close" and sessions:
            sessions.pop().over()
        elif step in ("fail", "answer") and (attempt := farm.pool.next(REQUEST)) is not None:
            attempt.over()
            if step == "fail":
                attempt.failed(ConnectError("refused"))
            else:
                attempt.succeeded(101)
        chosen = set(farm.chosen())
        assert bool(chosen) is (len(down) < 4)
        assert not chosen & down
    active = sum(standing.active for standing in farm.pool.standings.values())
    assert active == len(sessions)
    for _ in range(9):  # in the end nobody is left out for ever
        farm.now += 400
        if (attempt := farm.pool.next(REQUEST)) is not None:
            attempt.over()
            attempt.succeeded(101)
    assert set(farm.chosen(40)) == set("abcd") - down


def test_a_pool_that_says_nothing_of_health_ejects_and_does_not_check() -> None:
    assert HealthRules.from_spec({}) == HealthRules() == HealthRules(EjectionRule(3, 10, 300, 50))


@pytest.mark.parametrize(("status", "opens"), [(404, False), (429, True), (500, True), (599, True)])
def test_a_breaker_counts_the_answers_that_its_config_names(status: int, opens: bool) -> None:
    rule = BreakerRule(50, window=4, minimum=2, wait=10.0, trials=2, on=causes(["5xx", 429]))
    farm = Farm(1, HealthRules(EjectionRule(failures=0), breaker=rule))
    for _ in range(2):
        farm.attempt().succeeded(status)
    assert (farm.pool.next(REQUEST) is None) is opens


def test_a_pool_may_say_more_of_health() -> None:
    ejection = {"failures": 5, "for": 20.0, "maxFor": 60.0, "maxShare": 30, "on": ["5xx"]}
    check = {"interval": 4.0, "fails": 2, "jitter": 0, "onUnhealthy": "drain", "port": 81}
    spec = {
        "ejection": ejection,
        "healthCheck": check,
        "panicBelow": 40,
        "loadBalance": {"slowStart": 30.0},
        "circuitBreaker": {
            "failureRateThreshold": 30,
            "slidingWindowSize": 50,
            "minimumNumberOfCalls": 5,
            "waitDurationInOpenState": 20.0,
            "permittedNumberOfCallsInHalfOpenState": 3,
            "on": ["timeout", 429],
        },
    }
    assert HealthRules.from_spec(spec) == HealthRules(
        EjectionRule(5, 20, 60, 30, frozenset(range(500, 600))),
        Check(TcpCheck(), 4, 3, 2, 1, 0, 81, "drain"),
        panic_below=40,
        slow_start=30,
        breaker=BreakerRule(30, 50, 5, 20.0, 3, frozenset({"timeout", 429})),
    )


@pytest.mark.parametrize(
    ("pool", "path"),
    [
        ({"ejection": {"for": 30, "maxFor": 10}}, ["ejection", "maxFor"]),
        (
            {"loadBalance": {"policy": "ipHash", "slowStart": 30}},
            ["loadBalance", "slowStart"],
        ),
        ({"healthCheck": {"interval": 1, "timeout": 2}}, ["healthCheck", "timeout"]),
        (
            {"circuitBreaker": {"minimumNumberOfCalls": 9, "slidingWindowSize": 8}},
            ["circuitBreaker", "minimumNumberOfCalls"],
        ),
    ],
)
def test_fields_that_disagree_are_found(pool: dict[str, Any], path: list[str]) -> None:
    (fault,) = health_faults(pool, ["pools", 0])
    assert list(fault.path) == ["pools", 0, *path]


def test_fields_that_agree_are_let_pass() -> None:
    balance = {"policy": "leastConnections", "slowStart": 30}
    assert not list(
        health_faults({"ejection": {"for": 5, "maxFor": 5}, "loadBalance": balance}, [])
    )
