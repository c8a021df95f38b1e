"""Addresses: where a connection ends, and whether an IP lies in a network. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import Enum
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import NamedTuple

Network = IPv4Network | IPv6Network

#: What the address of a unix socket begins with.
UNIX = "unix:"


def bracketed(host: str) -> str:
    """A host as it stands in front of a port: an IPv6 address in brackets (RFC 3986 §3.2.2)."""
    return f"[{host}]" if ":" in host else host


class Address(NamedTuple):
    """Where a connection ends.

    host  an IP address; for a unix socket ``unix:`` and its path, or ``unix`` for its clients,
          which have none
    port  the port, 0 where there is none
    """

    host: str
    port: int = 0

    def __str__(self) -> str:
        if not self.port:
            return self.host
        return f"{bracketed(self.host)}:{self.port}"


#: The other end of every connection to a unix socket of ours.
UNIX_PEER = Address("unix")


class UnixPeers(Enum):
    """All peers of unix sockets, where networks are listed."""

    ALL = UNIX_PEER.host


Peers = Network | UnixPeers


@lru_cache(maxsize=4096)  # the same few proxies and clients come again and again
def parse_ip(host: str) -> IPv4Address | IPv6Address | None:
    """The IP that `host` is, or None when it is none (a name, the path of a unix socket).

    An IPv4-mapped IPv6 address is the IPv4 address: a socket that listens on both families
    reports IPv4 clients so, and 10.0.0.0/8 means them too. The zone of a link-local address
    (``fe80::1%eth0``) is left out, as it means nothing on any other machine.
    """
    try:
        ip = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip


def parse_nameserver(text: str) -> Address:
    """An IP with or without a port; 53 is the usual one. ValueError when it is neither."""
    if parse_ip(text) is not None:
        return Address(text, 53)
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if parse_ip(host) is None or (":" in host) != bracketed:
        raise ValueError("it is neither an IP nor an IP with a port")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise ValueError("its port is not a number from 1 to 65535")
    return Address(host, int(port))


def parse_endpoint(text: str) -> Address:
    """`host:port`, or `unix:` and a path. ValueError when it is neither; the host may be a name."""
    if text.startswith(UNIX):
        return Address(text)
    host, colon, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if is_bracketed else host
    if not (colon and host) or (":" in host) != is_bracketed:
        raise ValueError("it is neither a host with a port nor a unix socket")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise ValueError("its port is not a number from 0 to 65535")
    return Address(host, int(port))


def parse_network(text: str) -> Network:
    """The network in CIDR notation, or of one IP. ValueError when it is none.

    A network of IPv4-mapped addresses is the IPv4 network, as for `parse_ip`.
    """
    network = ip_network(text)
    mapped = network.network_address
    if isinstance(mapped, IPv6Address) and mapped.ipv4_mapped and network.prefixlen >= 96:
        return IPv4Network((mapped.ipv4_mapped, network.prefixlen - 96))
    return network


def parse_peers(text: str) -> Peers:
    """A network as `parse_network` reads it, or ``unix``. ValueError when it is neither."""
    return UnixPeers.ALL if text == UNIX_PEER.host else parse_network(text)


def is_within(host: str, peers: Collection[Peers]) -> bool:
    """Whether `host` is an IP of one of the networks, or that of unix peers, which are listed."""
    if not peers:  # the usual case: parsing takes longer than all the rest
        return False
    if host == UNIX_PEER.host:
        return UnixPeers.ALL in peers
    ip = parse_ip(host)
    return ip is not None and any(
        ip in network for network in peers if network is not UnixPeers.ALL
    )


class NetworkSet:
    """Networks that addresses are looked up in.

    A lookup costs one step for each prefix length that occurs, however many networks there are.
    """

    __slots__ = ("_groups",)

    def __init__(self, networks: Iterable[Network]) -> None:
        groups: dict[tuple[int, int], set[int]] = {}
        for network in networks:
            host_bits = network.max_prefixlen - network.prefixlen
            prefix = int(network.network_address) >> host_bits
            groups.setdefault((network.version, host_bits), set()).add(prefix)
        self._groups = {
            family: [
                (bits, prefixes)
                for (version, bits), prefixes in groups.items()
                if version == family
            ]
            for family in (4, 6)
        }

    def __contains__(self, ip: IPv4Address | IPv6Address) -> bool:
        number = int(ip)
        return any(number >> bits in prefixes for bits, prefixes in self._groups[ip.version])
