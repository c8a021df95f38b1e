"""Odd requests to easews, to nginx and to HAProxy: nothing that easews passes on has two readings.

The table is in odd_requests.py. "Reading" means what a backend gets to see.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pytest
from tests.e2e.gateway import PATIENCE
from tests.e2e.odd_requests import (
    CUT_SHORT,
    HONEST,
    HONEST_SEEN,
    OTHER_PROTOCOLS,
    PASSED,
    REFUSED,
    REFUSED_ALONE,
)
from tests.e2e.peers import Chains
from tests.e2e.raw import LOOPBACK
from tests.e2e.recorder import Recorder, Seen

PEERS = ["nginx", "haproxy"]
CHAINS = [pair for peer in PEERS for pair in ((peer, "easews"), ("easews", peer))]


@dataclass(frozen=True, slots=True)
class Reader:
    """A server, or a chain of them, with a recording backend behind."""

    port: int
    backend: Recorder

    def read(self, raw: bytes, *, cut_short: bool = False) -> tuple[list[int], list[Seen]]:
        """The statuses that a client gets, and the requests that the backend sees."""
        answers = b""
        with socket.create_connection((LOOPBACK, self.port), PATIENCE) as client:
            # A peer may reset the connection of a request that it refuses.
            with contextlib.suppress(ConnectionError):
                client.sendall(raw)
                if cut_short:
                    client.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                while data := client.recv(65536):
                    answers += data
        statuses = re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", answers)
        return list(map(int, statuses)), self.backend.take()


@pytest.fixture(scope="module")
def backend() -> Iterator[Recorder]:
    backend = Recorder()
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def chains(
    loop: str, backend: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chains]:
    chains = Chains(backend.port, loop, tmp_path_factory.mktemp)
    yield chains
    chains.close()


@pytest.fixture
def easews(chains: Chains, backend: Recorder) -> Reader:
    return Reader(chains.port("easews"), backend)


def rows(table: Mapping[str, object]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", table)


@rows(REFUSED)
def test_what_has_two_readings_is_refused_and_ends_its_connection(
    easews: Reader, name: str
) -> None:
    raw, status = REFUSED[name]
    assert easews.read(raw + HONEST) == ([status], [])


@rows(REFUSED_ALONE)
def test_a_path_that_means_another_is_refused_and_the_next_request_answered(
    easews: Reader, name: str
) -> None:
    raw, status = REFUSED_ALONE[name]
    assert easews.read(raw + HONEST) == ([status, 200], [HONEST_SEEN])


@rows(CUT_SHORT)
def test_what_ends_too_early_is_no_request(easews: Reader, name: str) -> None:
    assert easews.read(CUT_SHORT[name], cut_short=True) == ([400], [])


@rows(PASSED)
def test_what_has_one_reading_is_passed_on(easews: Reader, name: str) -> None:
    raw, seen = PASSED[name]
    assert easews.read(raw + HONEST) == ([200, 200], [seen, HONEST_SEEN])


@rows(OTHER_PROTOCOLS)
def test_another_protocol_is_not_asked_for(easews: Reader, name: str) -> None:
    assert easews.read(OTHER_PROTOCOLS[name] + HONEST) == ([200], [Seen("GET", "/")])


MAY_PASS = {**{name: raw for name, (raw, _) in PASSED.items()}, **OTHER_PROTOCOLS}
ALL = {**{name: raw for name, (raw, _) in (REFUSED | REFUSED_ALONE).items()}, **MAY_PASS}


def without_upgrade(seen: Iterable[Seen]) -> list[Seen]:
    return [one._replace(upgrade="") for one in seen]


@pytest.mark.parametrize("peer", PEERS)
@rows(MAY_PASS)
def test_what_easews_passes_on_a_peer_reads_in_the_same_way_or_refuses(
    chains: Chains, backend: Recorder, peers: None, peer: str, name: str
) -> None:
    raw = MAY_PASS[name] + HONEST
    _, ours = Reader(chains.port("easews"), backend).read(raw)
    _, theirs = Reader(chains.port(peer), backend).read(raw)
    both = min(len(ours), len(theirs))
    assert without_upgrade(theirs)[:both] == ours[:both]


@pytest.mark.parametrize("chain", CHAINS, ids=" ".join)
@rows(ALL)
def test_the_second_of_two_proxies_sees_no_request_that_the_first_did_not(
    chains: Chains, backend: Recorder, peers: None, chain: tuple[str, str], name: str
) -> None:
    raw = ALL[name] + HONEST
    _, first = Reader(chains.port(chain[0]), backend).read(raw)
    _, both = Reader(chains.port(*chain), backend).read(raw)
    # HAProxy reads on or not behind what it refuses, from one time to the next.
    may_come = iter(
        [*(seen for seen in without_upgrade(first) if seen != HONEST_SEEN), HONEST_SEEN]
    )
    assert all(seen in may_come for seen in without_upgrade(both)), (first, both)


def test_the_peers_read_most_of_what_easews_reads(
    chains: Chains, backend: Recorder, peers: None
) -> None:
    # Otherwise what is said above of them would say little.
    for peer in PEERS:
        reader = Reader(chains.port(peer), backend)
        read = [name for name, (raw, _) in PASSED.items() if reader.read(raw + HONEST)[1]]
        assert len(read) > 0.8 * len(PASSED), (peer, PASSED.keys() - set(read))


def test_the_table_is_a_long_one() -> None:
    assert len(REFUSED) + len(REFUSED_ALONE) + len(CUT_SHORT) > 150
