"""A small nameserver on loopback, over UDP and TCP, whose records a test changes as it goes."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dns import flags, message, rcode, rrset
from dns.rdatatype import to_text

HOST = "127.0.0.1"


class Nameserver:
    """What it answers is in `records`, by name and type. A name without any is NXDOMAIN.

    rcodes     answers with this code instead, by name
    failures   how many questions are answered with SERVFAIL first, by name
    silent     names that get no answer
    truncated  names whose answers over UDP say that they were truncated
    moving     names that have another address each time they are asked for, and where it is from
    ttl        of every record
    asked      name, type and transport of every question

    `negative_ttl` is that of the answer that there is no such record.
    """

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.rcodes: dict[str, rcode.Rcode] = {}
        self.failures: dict[str, int] = {}
        self.silent: set[str] = set()
        self.truncated: set[str] = set()
        self.moving: dict[str, Iterator[str]] = {}
        self.ttl = 60
        self.negative_ttl = 5
        self.asked: list[tuple[str, str, str]] = []
        self.port = 0

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def answer(self, wire: bytes, transport: str) -> bytes | None:
        query = message.from_wire(wire)
        name, kind = query.question[0].name.to_text(), to_text(query.question[0].rdtype)
        host = name.rstrip(".")
        self.asked.append((host, kind, transport))
        if host in self.silent:
            return None
        answer = message.make_response(query)
        if self.failures.get(host):
            self.failures[host] -= 1
            answer.set_rcode(rcode.SERVFAIL)
            return answer.to_wire()
        if kind == "A" and host in self.moving:
            self.records[host, kind] = [next(self.moving[host])]
        known = {owner for owner, _ in self.records}
        answer.set_rcode(self.rcodes.get(host, rcode.NOERROR if host in known else rcode.NXDOMAIN))
        if transport == "udp" and host in self.truncated:
            answer.flags |= flags.TC
        elif answer.rcode() == rcode.NOERROR:
            answer.answer = list(self._chain(host, kind))
        if not answer.answer:
            soa = f"ns.invalid. root.invalid. 1 1 1 1 {self.negative_ttl}"
            answer.authority.append(rrset.from_text(".", self.ttl, "IN", "SOA", soa))
        return answer.to_wire()

    def _chain(self, host: str, kind: str) -> Iterator[rrset.RRset]:
        if alias := self.records.get((host, "CNAME")):
            yield rrset.from_text(f"{host}.", self.ttl, "IN", "CNAME", f"{alias[0]}.")
            yield from self._chain(alias[0], kind)
        elif found := self.records.get((host, kind)):
            yield rrset.from_text(f"{host}.", self.ttl, "IN", kind, *found)


@contextmanager
def nameserver() -> Iterator[Nameserver]:
    """A nameserver that listens while the block runs."""
    served = Nameserver()

    class OverUdp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, sock = self.request
            if (answer := served.answer(wire, "udp")) is not None:
                sock.sendto(answer, self.client_address)

    class OverTcp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            wire = self.rfile.read(int.from_bytes(self.rfile.read(2), "big"))
            if (answer := served.answer(wire, "tcp")) is not None:
                self.wfile.write(len(answer).to_bytes(2, "big") + answer)

    with _on_one_port(OverUdp, OverTcp) as (udp, tcp):
        served.port = udp.server_address[1]
        threads = [threading.Thread(target=each.serve_forever, args=(0.02,)) for each in (udp, tcp)]
        for thread in threads:
            thread.start()
        try:
            yield served
        finally:
            for each in (udp, tcp):
                each.shutdown()
            for thread in threads:
                thread.join()


@contextmanager
def _on_one_port(
    over_udp: type[socketserver.BaseRequestHandler], over_tcp: type[socketserver.BaseRequestHandler]
) -> Iterator[tuple[socketserver.UDPServer, socketserver.TCPServer]]:
    while True:
        with suppress(OSError):  # somebody else has the port of TCP
            udp = socketserver.UDPServer((HOST, 0), over_udp)
            try:
                tcp = socketserver.TCPServer(udp.server_address, over_tcp)
            except OSError:
                udp.server_close()
                raise
            break
    with udp, tcp:
        yield udp, tcp
