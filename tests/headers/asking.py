"""A client for the tests: one request to a gateway, and its answer."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass

from anyio import to_thread

from easews import Address, Headers


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client gets."""

    status: int
    headers: Headers
    body: bytes


async def ask(
    address: Address,
    target: str = "/",
    fields: Iterable[tuple[str, str]] = (),
    *,
    method: str = "GET",
    connection: str = "close",
) -> Answer:
    """Send a request without body on a connection of its own."""
    lines = [f"{method} {target} HTTP/1.1", "Host: gateway.example", f"Connection: {connection}"]
    lines += [f"{name}: {value}" for name, value in fields]
    request = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return await to_thread.run_sync(_exchange, address, request)


def _exchange(address: Address, request: bytes) -> Answer:
    with socket.create_connection((address.host, address.port), 10) as client:
        client.sendall(request)
        received = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    pairs = (field.partition(": ") for field in lines)
    return Answer(int(line.split()[1]), Headers((name, value) for name, _, value in pairs), body)
