"""A session through a gateway at one end of a cable, with a peer at the other end."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e import raw
from tests.e2e.cable import Cable
from tests.e2e.gateway import Gateway, config, free_port, proxied, running
from tests.e2e.raw import Peer, RawBackend

#: `python -m easews`, but the kernel does not wait half a minute longer than we do.
EASEWS = (
    *(sys.executable, "-W", "always::ResourceWarning", "-c"),
    "from easews.cli import main; from easews_wsproxy.relay import deadpeer; "
    "deadpeer.KERNEL_GRACE = 0.5; main()",
)


class Session(NamedTuple):
    """A session through a gateway at the cable's near end."""

    gateway: Gateway
    client: Peer
    backend: Peer

    def near(self, far: str) -> Peer:
        """The peer that is not at the far end."""
        return self.backend if far == "client" else self.client

    def far(self, far: str) -> Peer:
        return self.client if far == "client" else self.backend

    def how_it_ended(self) -> tuple[str, int, str]:
        """Who closed it, with which code and for what cause, as the log says."""
        line = json.loads(self.gateway.log.wait_for("session", "closed_by"))
        return line["closed_by"], line["code"], line["cause"]


#: `with open_session("client", limits) as session`: that peer is at the far end.
Open = Callable[[str, Mapping[str, Any]], AbstractContextManager[Session]]


def opener(loop: str, cable: Cable, folder: Path) -> Open:
    """Opens sessions through a gateway that runs on this event loop."""

    @contextmanager
    def opened(far: str, limits: Mapping[str, Any]) -> Iterator[Session]:
        client_host = cable.far if far == "client" else cable.near
        backend_host = cable.far if far == "backend" else cable.near
        with ExitStack() as stack:
            with backend_host.inside():
                listening = RawBackend(0, backend_host.address)
            stack.callback(listening.close)
            url = f"ws://{backend_host.address}:{listening.port}"
            with cable.near.inside():
                text = config(free_port(), proxied("/", url, **limits), address=cable.near.address)
                options = ("--backend", loop, "--log-format", "json")
                gateway = stack.enter_context(running(text, folder, *options, easews=EASEWS))
            with client_host.inside():
                sock = socket.create_connection((cable.near.address, gateway.port))
            client = stack.enter_context(Peer(sock))
            client.send(raw.handshake("/"))
            backend, _ = listening.accept_session()
            assert client.head().status == 101
            yield Session(gateway, client, backend)

    return opened
