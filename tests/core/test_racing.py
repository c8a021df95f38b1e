"""Several addresses of a name: in which order they are tried, and which one wins."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import ConnectError
from easews.net.waiting import wait_for
from easews.upstream import Server, dial
from easews.upstream.dialling import racing
from easews.upstream.dialling.racing import Address, first_connected, interleaved

V4, V6 = socket.AF_INET, socket.AF_INET6
ADDRESSES = st.lists(st.tuples(st.sampled_from([V4, V6]), st.integers()), min_size=1)


def test_the_families_take_turns() -> None:
    given = [(V6, 1), (V6, 2), (V6, 3), (V4, 4), (V4, 5)]
    assert interleaved(given) == [(V6, 1), (V4, 4), (V6, 2), (V4, 5), (V6, 3)]


@given(ADDRESSES)
def test_every_address_is_tried_once_and_the_first_one_first(addresses: list[Address]) -> None:
    tried = interleaved(addresses)
    assert sorted(tried) == sorted(addresses)
    assert tried[0] == addresses[0]


class Network:
    """What connecting to an address does: it never ends, fails, or succeeds."""

    def __init__(self, **fates: Any) -> None:
        self.fates = fates
        self.tried: list[str] = []
        self.closed: list[str] = []

    async def connect(self, sock: socket.socket, where: str, timeout: float) -> None:
        self.tried.append(where)
        fate = self.fates[where]
        try:
            if isinstance(fate, OSError):
                raise fate
            if fate == "never":
                await wait_for(lambda _: anyio.sleep_forever(), sock, timeout)
        except BaseException:
            self.closed.append(where)
            raise


@contextmanager
def network(monkeypatch: pytest.MonkeyPatch, **fates: Any) -> Iterator[Network]:
    made = Network(**fates)
    monkeypatch.setattr(racing, "connect", made.connect)
    yield made


REFUSED = OSError(errno.ECONNREFUSED, "refused")


def addresses(names: str) -> list[Address]:
    return [(V4, name) for name in names]


async def test_a_silent_address_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    began = monotonic()
    with network(monkeypatch, a="never", b="yes", c="yes") as made:
        (await first_connected(addresses("abc"), 30)).close()
    assert racing.STAGGER - 0.01 < monotonic() - began < 10  # uvloop counts milliseconds
    assert (made.tried, made.closed) == (["a", "b"], ["a"])


async def test_after_a_refusal_the_next_one_is_tried_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(racing, "STAGGER", 1000)
    with network(monkeypatch, a=REFUSED, b=REFUSED, c="yes", d="yes") as made, anyio.fail_after(30):
        (await first_connected(addresses("abcd"), 30)).close()
    assert made.tried == ["a", "b", "c"]


async def test_the_first_that_connects_wins_though_it_began_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(racing, "STAGGER", 0)
    with network(monkeypatch, a="never", b="never", c="yes") as made:
        (await first_connected(addresses("abc"), 30)).close()
    assert sorted(made.closed) == ["a", "b"]


async def test_when_all_fail_the_last_failure_is_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = OSError(errno.EHOSTUNREACH, "no route")
    with network(monkeypatch, a=REFUSED, b=other), pytest.raises(OSError, match="no route"):
        await first_connected(addresses("ab"), 30)


async def test_all_of_them_together_have_one_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "STAGGER", 0.01)
    with network(monkeypatch, a="never", b="never"), pytest.raises(TimeoutError) as caught:
        await first_connected(addresses("ab"), 0.1)
    assert not caught.value.errno


async def test_a_dial_that_is_cancelled_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(racing, "STAGGER", 0)
    with network(monkeypatch, a="never", b="never") as made:
        with anyio.move_on_after(0.05):
            await first_connected(addresses("ab"), 30)
    assert sorted(made.closed) == ["a", "b"]


async def test_a_name_whose_first_address_refuses_is_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With real sockets: IPv6 refuses, or there is none, and IPv4 accepts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        found = [
            (V6, 1, 6, "", ("::1", port, 0, 0)),
            (V4, 1, 6, "", ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        (await dial(Server.at(f"ws://two.example:{port}"), 30)).close()


async def test_a_name_without_an_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    with pytest.raises(ConnectError, match=r"^ws://none\.example: its name has no address$"):
        await dial(Server.at("ws://none.example"), 30)
