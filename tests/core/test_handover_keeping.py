"""Which upgrades end in the pid that they began in, and who gets which signal meanwhile."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from socket import socket
from typing import NoReturn

import anyio
import pytest

from easews.net.channel import Channel, pair
from easews.operate.handover import keeping, link, told
from easews.operate.handover.helpers import Helpers
from easews.operate.handover.inplace import InPlace
from easews.operate.handover.protocol import HandoverFault, Place
from easews.operate.handover.taking import Taker
from easews.operate.handover.told import Told

SERVICE = {"INVOCATION_ID": "0"}


@pytest.mark.parametrize(
    ("pid", "environment", "reports", "keeps"),
    [
        (1, {}, False, True),
        (1, SERVICE, True, True),
        (7, {}, False, False),
        (7, SERVICE, False, True),
        (7, SERVICE, True, False),
        (7, {**SERVICE, "SYSTEMD_EXEC_PID": "7"}, False, True),
        (7, {**SERVICE, "SYSTEMD_EXEC_PID": "6"}, False, False),
    ],
)
def test_process_1_and_services_that_do_not_report_keep_their_pid(
    pid: int, environment: Mapping[str, str], reports: bool, keeps: bool
) -> None:
    assert keeping.keeps_pid(pid, environment, reports=reports) is keeps


def test_pids_are_taken_out_of_the_environment() -> None:
    environment = {keeping.HELPERS: keeping.pids_written([7, 8])}
    assert keeping.take_pids(environment, keeping.HELPERS) == [7, 8]
    assert environment == {}
    assert keeping.take_pids(environment, keeping.HELPERS) == []


def test_a_helper_is_not_upgraded_itself() -> None:
    with pytest.raises(HandoverFault, match="the upgrade of process 7 is not over yet"):
        InPlace(helps=7).start({})


def test_who_reports_to_systemd_does_not_keep_its_pid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVOCATION_ID", "0")
    monkeypatch.delenv("SYSTEMD_EXEC_PID", raising=False)
    for environment, keeps in ({}, True), ({"NOTIFY_SOCKET": "/run/notify"}, False):
        in_place = InPlace()
        in_place.start(environment)
        assert in_place.ends_here is keeps


def sleeper() -> subprocess.Popen[bytes]:
    """A child that ends at the first signal."""
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])


def test_a_helper_that_has_ended_is_waited_for() -> None:
    child = sleeper()
    helpers = Helpers([child.pid])
    assert helpers.living() == [child.pid]
    helpers.pass_on(signal.SIGKILL)
    helpers.outlive()
    assert (helpers.living(), helpers.worst) == ([], signal.SIGKILL)
    assert child.wait() == 0  # as it is when somebody else has waited
    assert Helpers([child.pid]).living() == []


async def send(*numbers: signal.Signals) -> AsyncIterator[signal.Signals]:
    for number in numbers:
        yield number
    await anyio.sleep_forever()


TERM, HUP, USR2 = signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2


class Recording(Helpers):
    """One helper, which is there as long as `there` is true."""

    def __init__(self) -> None:
        super().__init__()
        self.there = True
        self.told: list[int] = []

    def living(self) -> list[int]:
        return [7] if self.there else []

    def pass_on(self, number: int) -> None:
        self.told.append(number)


async def heeded(
    in_place: InPlace, *numbers: signal.Signals, follows: Taker | None = None
) -> list[signal.Signals]:
    """Those of the signals that the process itself heeds."""
    found: list[signal.Signals] = []
    with anyio.move_on_after(0.1):
        async for number in Told(send(*numbers), in_place, follows):
            found.append(number)  # noqa: PERF401 - it is cancelled
    return found


async def test_without_a_helper_all_signals_are_its_own() -> None:
    in_place = InPlace(helpers=Recording())
    assert await heeded(in_place, HUP, USR2, TERM, TERM) == [HUP, USR2, TERM, TERM]


async def test_while_a_helper_serves_it_gets_the_signals() -> None:
    helpers = Recording()
    in_place = InPlace(helpers=helpers)
    in_place.helped = True
    assert await heeded(in_place, HUP, USR2, TERM, TERM) == [TERM]
    assert helpers.told == [HUP, TERM, TERM]
    assert in_place.stops


async def test_when_the_helper_has_ended_what_is_drained_is_cut() -> None:
    helpers = Recording()
    in_place = InPlace(helpers=helpers)
    in_place.helped, helpers.there = True, False
    with anyio.fail_after(60):
        assert await anext(Told(send(), in_place)) == TERM
    assert not in_place.stops


@pytest.mark.parametrize(("same", "heeds"), [(1000.0, [TERM]), (0.0, [TERM, TERM])])
async def test_a_helper_takes_the_same_signal_from_two_senders_for_one(
    monkeypatch: pytest.MonkeyPatch, same: float, heeds: list[signal.Signals]
) -> None:
    monkeypatch.setattr(told, "SAME", same)
    assert await heeded(InPlace(helps=7), TERM, TERM) == heeds


@pytest.mark.parametrize(("is_there", "heeds"), [(True, [HUP, TERM]), (False, [HUP, TERM, TERM])])
async def test_so_does_a_new_process_as_long_as_the_one_before_may_pass_it_on(
    monkeypatch: pytest.MonkeyPatch, is_there: bool, heeds: list[signal.Signals]
) -> None:
    monkeypatch.setattr(told, "SAME", 1000.0)
    near, far = pair()
    follows = Taker(Channel(near))
    follows.other_is_there = is_there
    assert await heeded(InPlace(), HUP, TERM, TERM, follows=follows) == heeds
    follows.close()
    far.close()


class Nowhere:
    """A process that listens nowhere."""

    several = False

    def places(self) -> Iterable[tuple[Place, socket]]:
        return ()


async def test_an_upgrade_without_room_for_its_channel_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full() -> NoReturn:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def never(_: socket) -> NoReturn:
        raise AssertionError

    monkeypatch.setattr(link, "pair", full)
    with pytest.raises(HandoverFault, match=r"cannot be started: .*Too many open files"):
        await link.started(never, Nowhere())
