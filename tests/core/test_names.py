"""Names in DNS, asked from a real nameserver on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from dns import asyncresolver, rcode
from dns.asyncresolver import Resolver
from tests.nameserver import Nameserver, nameserver

from easews.addresses import Address
from easews.upstream.names import lookup
from easews.upstream.names.lookup import Outcome, look_up
from easews.upstream.names.records import Known, Target
from easews.upstream.names.resolving import Resolve


@pytest.fixture
def dns() -> Iterator[Nameserver]:
    with nameserver() as served:
        yield served


def resolve_at(dns: Nameserver, mode: str = "each", timeout: float = 5) -> Resolve:
    return Resolve(mode, (Address("127.0.0.1", dns.port),), timeout=timeout)


async def asked(dns: Nameserver, host: str, known: Known | None = None) -> Outcome:
    return await look_up(host, resolve_at(dns), known or Known())


async def test_a_name_has_all_its_addresses_and_their_ttl(dns: Nameserver) -> None:
    dns.records["a.test", "A"] = ["192.0.2.2", "192.0.2.1"]
    dns.records["a.test", "AAAA"] = ["2001:db8::1"]
    outcome = await asked(dns, "a.test")
    hosts = ("192.0.2.1", "192.0.2.2", "2001:db8::1")
    assert outcome == (tuple(map(Target, hosts)), 60, "")


async def test_an_alias_leads_to_the_addresses(dns: Nameserver) -> None:
    dns.records["a.test", "CNAME"] = ["b.test"]
    dns.records["b.test", "A"] = ["192.0.2.1"]
    assert (await asked(dns, "a.test")).targets == (Target("192.0.2.1"),)


async def test_that_one_kind_of_address_is_missing_does_not_shorten_the_ttl(
    dns: Nameserver,
) -> None:
    dns.records["a.test", "A"] = ["192.0.2.1"]
    dns.negative_ttl = 1
    assert (await asked(dns, "a.test")).ttl == 60


async def test_that_there_is_no_such_name_is_an_answer(dns: Nameserver) -> None:
    dns.negative_ttl = 7
    known = Known()
    dns.records["a.test", "A"] = ["192.0.2.1"]
    await asked(dns, "a.test", known)
    dns.records.clear()
    assert await asked(dns, "a.test", known) == ((), 7, "")
    assert known.targets == ()


async def test_that_a_name_has_no_address_is_an_answer(dns: Nameserver) -> None:
    dns.records["a.test", "TXT"] = ["text"]
    assert await asked(dns, "a.test") == ((), 5, "")


async def test_the_last_answer_stays_when_a_look_up_fails(dns: Nameserver) -> None:
    known = Known()
    dns.records["a.test", "A"] = ["192.0.2.1"]
    await asked(dns, "a.test", known)
    dns.rcodes["a.test"] = rcode.SERVFAIL
    outcome = await asked(dns, "a.test", known)
    assert outcome.targets == known.targets == (Target("192.0.2.1"),)
    assert "SERVFAIL" in outcome.trouble


async def test_a_name_that_never_had_an_answer_is_not_known(dns: Nameserver) -> None:
    dns.rcodes["a.test"] = rcode.SERVFAIL
    known = Known()
    assert (await asked(dns, "a.test", known)).targets is None
    assert known.targets is None


async def test_a_truncated_answer_is_asked_for_over_tcp(dns: Nameserver) -> None:
    dns.records["a.test", "A"] = [f"192.0.2.{n}" for n in range(100)]
    dns.truncated.add("a.test")
    outcome = await asked(dns, "a.test")
    assert outcome.targets is not None
    assert len(outcome.targets) == 100
    assert ("a.test", "A", "tcp") in dns.asked


async def test_a_silent_nameserver_is_asked_again_until_the_time_is_over(dns: Nameserver) -> None:
    dns.silent.add("a.test")
    with anyio.fail_after(10):
        outcome = await look_up("a.test", resolve_at(dns, timeout=0.3), Known())
    assert outcome.targets is None
    assert "lifetime expired" in outcome.trouble
    assert dns.asked.count(("a.test", "A", "udp")) > 1


async def test_a_look_up_can_be_cancelled(dns: Nameserver) -> None:
    dns.silent.add("a.test")
    with anyio.fail_after(10), anyio.move_on_after(0.1) as scope:
        await look_up("a.test", resolve_at(dns, timeout=60), Known())
    assert scope.cancelled_caught


async def test_a_service_has_the_addresses_of_its_preferred_targets(dns: Nameserver) -> None:
    dns.records["_ws._tcp.test", "SRV"] = [
        "1 5 8001 a.test.",
        "1 10 8002 b.test.",
        "2 5 8003 c.test.",
    ]
    dns.records["a.test", "A"] = ["192.0.2.1"]
    dns.records["b.test", "AAAA"] = ["2001:db8::1"]
    outcome = await look_up("_ws._tcp.test", resolve_at(dns, "srv"), Known())
    assert outcome.targets == (Target("192.0.2.1", 8001, 5), Target("2001:db8::1", 8002, 10))
    assert not any(host == "c.test" for host, _, _ in dns.asked)


async def test_a_target_that_cannot_be_looked_up_keeps_its_last_address(dns: Nameserver) -> None:
    known, resolve = Known(), resolve_at(dns, "srv")
    dns.records["_ws._tcp.test", "SRV"] = ["1 1 80 a.test.", "1 1 80 b.test."]
    dns.records["a.test", "A"] = ["192.0.2.1"]
    dns.records["b.test", "A"] = ["192.0.2.2"]
    await look_up("_ws._tcp.test", resolve, known)
    dns.rcodes["a.test"] = rcode.SERVFAIL
    dns.records["b.test", "A"] = ["192.0.2.3"]
    outcome = await look_up("_ws._tcp.test", resolve, known)
    assert outcome.targets == (Target("192.0.2.1", 80), Target("192.0.2.3", 80))
    assert "SERVFAIL" in outcome.trouble


def at_port(port: int, *args: Any, **settings: Any) -> Resolver:
    resolver = Resolver(*args, **settings)
    resolver.port = port
    return resolver


@pytest.fixture
def system(dns: Nameserver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's settings lead to `dns`, with a search list and a hosts file."""
    (tmp_path / "hosts").write_text("192.0.2.9 listed.test\n")
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\nsearch first.test second.test\n")
    monkeypatch.setattr(lookup, "HOSTS", tmp_path / "hosts")
    monkeypatch.setattr(lookup, "RESOLV_CONF", tmp_path / "resolv.conf")
    monkeypatch.setattr(asyncresolver, "Resolver", partial(at_port, dns.port))
    return tmp_path


async def test_the_hosts_file_counts_where_no_nameserver_is_given(system: Path) -> None:
    outcome = await look_up("listed.test", Resolve("each"), Known())
    assert outcome.targets == (Target("192.0.2.9"),)
    (system / "hosts").unlink()
    (system / "resolv.conf").unlink()
    outcome = await look_up("listed.test", Resolve("each"), Known())
    assert outcome.targets is None
    assert outcome.trouble


async def test_the_search_list_of_the_system_counts(dns: Nameserver, system: Path) -> None:
    dns.records["short.second.test", "A"] = ["192.0.2.1"]
    outcome = await look_up("short", Resolve("each"), Known())
    assert outcome.targets == (Target("192.0.2.1"),)
    assert ("short.first.test", "A", "udp") in dns.asked
