"""What outlives a request: open sessions, and plugins' services."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from easews import Ending, Opening, Service, Services, Sessions
from easews.testing import OpenSession

ENDING = Ending("client", 1000, "closed", 1.0)


def make_session(id: str, backend: str = "ws://b", **labels: str) -> OpenSession:
    return OpenSession(Opening(id, backend=backend, labels=labels))


def test_a_session_is_found_while_it_is_open() -> None:
    sessions = Sessions()
    session = make_session("1")
    sessions.opened(session)
    assert sessions.get("1") is session
    assert [*sessions] == [session]
    sessions.ended(session, ENDING)
    assert sessions.get("1") is None
    assert len(sessions) == 0


def test_listeners_hear_of_every_opening_and_every_end() -> None:
    sessions = Sessions()
    heard: list[Any] = []
    sessions.on_open.append(heard.append)
    sessions.on_end.append(lambda *news: heard.append(news))
    session = make_session("1")
    sessions.opened(session)
    sessions.ended(session, ENDING)
    assert heard == [session, (session, ENDING)]


def test_a_listener_that_raises_silences_no_other(caplog: pytest.LogCaptureFixture) -> None:
    sessions = Sessions()
    heard = []

    def fails(*news: object) -> None:
        raise ValueError("no such table")

    for listeners in (sessions.on_open, sessions.on_end):
        listeners.append(fails)
    sessions.on_open.append(lambda session: heard.append("open"))
    sessions.on_end.append(lambda session, ending: heard.append("end"))
    session = make_session("1")
    sessions.opened(session)
    sessions.ended(session, ENDING)
    assert heard == ["open", "end"]
    assert caplog.text.count("ValueError: no such table") == 2
    assert "fails" in caplog.text


def test_sessions_may_end_while_one_walks_over_them() -> None:
    sessions = Sessions()
    for number in range(3):
        sessions.opened(make_session(str(number)))
    for session in sessions:
        sessions.ended(session, ENDING)
    assert len(sessions) == 0


def test_the_sessions_of_a_backend_are_counted() -> None:
    sessions = Sessions()
    first, second = make_session("1", "ws://a"), make_session("2", "ws://a")
    sessions.opened(first)
    sessions.opened(second)
    assert (sessions.count("ws://a"), sessions.count("ws://b")) == (2, 0)
    sessions.ended(first, ENDING)
    sessions.ended(second, ENDING)
    assert sessions.count("ws://a") == 0


def test_sessions_are_found_by_their_labels() -> None:
    sessions = Sessions()
    anne, bob = make_session("1", user="anne", plan="free"), make_session("2", user="bob")
    sessions.opened(anne)
    sessions.opened(bob)
    assert sessions.matching(user="anne") == [anne]
    assert sessions.matching(user="anne", plan="paid") == []
    assert sessions.matching() == [anne, bob]


class Clock(Service):
    """A service."""

    async def serve(self, ready: Callable[[], None]) -> None:
        ready()
        await anyio.sleep_forever()


class Alarm(Clock):
    """A service that needs another one."""

    needs = (Clock,)

    def __init__(self, services: Services) -> None:
        self.clock = services[Clock]


async def test_services_are_started_once_and_after_those_that_they_need() -> None:
    services = Services()
    async with anyio.create_task_group() as tasks:
        services.run_in(tasks)
        await services.ensure([Alarm])
        alarm = services[Alarm]
        assert alarm.clock is services[Clock]
        await services.ensure([Clock, Alarm])
        assert services[Alarm] is alarm
        tasks.cancel_scope.cancel()


async def test_services_that_need_each_other_are_told() -> None:
    class Hen(Clock):
        pass

    class Egg(Clock):
        needs = (Hen,)

    Hen.needs = (Egg,)
    services = Services()
    async with anyio.create_task_group() as tasks:
        services.run_in(tasks)
        with pytest.raises(ValueError, match="Hen needs itself: Hen, Egg, Hen"):
            await services.ensure([Hen])
        tasks.cancel_scope.cancel()


def test_a_test_may_put_a_fake_in_the_place_of_a_service() -> None:
    fake = object()
    assert Services({Clock: fake})[Clock] is fake


def test_a_service_that_nobody_asked_for_is_told_how_to_get() -> None:
    with pytest.raises(LookupError, match=r"Clock is not running: a filter .* `services`"):
        Services()[Clock]
