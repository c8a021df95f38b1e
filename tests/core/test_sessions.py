"""What outlives a request: open sessions, and plugins' services."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from easews import Birth, Ending, Service, Services, Sessions, Traffic


class Open:
    """A session that is open."""

    def __init__(self, id: str) -> None:
        self.birth = Birth(id, "::1", "/ws", "p", "ws://b", 0.0, 0.0)

    def traffic(self) -> tuple[Traffic, Traffic]:
        return Traffic(), Traffic()

    def close(self, code: int, reason: str) -> None: ...


ENDING = Ending("client", 1000, "closed", 1.0)


def test_a_session_is_found_while_it_is_open() -> None:
    sessions = Sessions()
    session = Open("1")
    sessions.opened(session)
    assert sessions.get("1") is session
    assert list(sessions) == [session]
    sessions.ended(session, ENDING)
    assert sessions.get("1") is None
    assert len(sessions) == 0


def test_listeners_hear_of_every_end() -> None:
    sessions = Sessions()
    heard = []
    sessions.on_end.append(lambda birth, ending: heard.append((birth.id, ending)))
    session = Open("1")
    sessions.opened(session)
    sessions.ended(session, ENDING)
    assert heard == [("1", ENDING)]


def test_sessions_may_end_while_one_walks_over_them() -> None:
    sessions = Sessions()
    for number in range(3):
        sessions.opened(Open(str(number)))
    for session in sessions:
        sessions.ended(session, ENDING)
    assert len(sessions) == 0


class Clock(Service):
    """A service."""

    async def serve(self, ready: Callable[[], None]) -> None:
        ready()
        await anyio.sleep_forever()


def test_a_service_is_found_by_its_class() -> None:
    clock = Clock()
    assert Services([clock])[Clock] is clock


def test_a_service_that_nobody_asked_for_is_told_how_to_get() -> None:
    with pytest.raises(LookupError, match=r"Clock is not running: a filter .* `services`"):
        Services()[Clock]
