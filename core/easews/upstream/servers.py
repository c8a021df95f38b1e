"""A server of a pool, and what this process knows of it. Values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakValueDictionary

from ..addresses import parse_ip
from ..http.urls import DEFAULT_PORTS, server_url


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a pool.

    url        its URL, as in the config
    host       a host name or an IP address
    port       the port
    path       the path of the URL, which stands in front of the client's
    is_ip      whether `host` is an IP address
    weight     its share of the requests; 0 gets none
    keep_host  whether it gets the client's Host
    own_host   the Host that it gets; empty where that is the client's
    """

    url: str
    host: str
    port: int
    path: str
    is_ip: bool
    weight: int = 1
    keep_host: bool = False
    own_host: str = ""

    @classmethod
    def at(cls, url: str, *, weight: int = 1, keep_host: bool = False) -> Server:
        """The server at `url`. ValueError, which says what is wrong, when the URL is not valid.

        Servers behind one name choose their site by Host. An IP names no site, so a server with
        one gets the client's Host, as any does with `keep_host`. A port is written into Host when
        it is not the scheme's own.
        """
        scheme, host, port, path = server_url(url)
        is_ip = parse_ip(host) is not None
        own_host = host if port == DEFAULT_PORTS[scheme] else f"{host}:{port}"
        if keep_host or is_ip:
            own_host = ""
        return cls(url, host, port, path, is_ip, weight, keep_host, own_host)


@dataclass(slots=True, weakref_slot=True, eq=False)
class Standing:
    """What is known of a server: failures in a row, and what the last one was."""

    failures: int = 0
    last_error: str = ""


# One for each server of this process, however many pools and generations name it. It is forgotten
# with the last of them.
_standings: WeakValueDictionary[str, Standing] = WeakValueDictionary()


def standing_of(server: Server) -> Standing:
    """What is known of `server`. It is known by its scheme, host, port and path."""
    scheme, host, port, path = server_url(server.url)
    identity = f"{scheme} {host} {port} {path}"
    standing = _standings.get(identity)
    if standing is None:
        standing = _standings[identity] = Standing()
    return standing
