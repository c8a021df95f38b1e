"""Whose word a filter takes: it can narrow what its servers trust, and never widen it.

A server drops what other peers say before any filter sees it, so a network that no server trusts
would be believed in the config only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network

from ..addresses import Network, parse_network
from ..errors import Problem
from ..plugins import Kinds
from .documents import Document, Node
from .schemas import kind_of


def servers_by_pipeline(servers: Iterable[Document]) -> Mapping[str, list[Document]]:
    """The servers whose paths lead to each pipeline, by the pipeline's name."""
    leading: dict[str, list[Document]] = {}
    for server in servers:
        for name in dict.fromkeys(_backends(server)):
            leading.setdefault(name, []).append(server)
    return leading


def check_trust(pipeline: Document, leading: Sequence[Document], kinds: Kinds) -> Iterator[Problem]:
    """Each network that a filter trusts and none of the servers that lead to its pipeline does."""
    if not leading:
        return
    trusted = [
        known for server in leading for *_, known in _networks(server.root, "trustedProxies")
    ]
    names = ", ".join(server.label for server in leading)
    for number, entry in pipeline.root.items("filters"):
        kind = kind_of(entry, kinds)
        field = kind.filter_class.trusted_field if kind is not None else ""
        for at, node, network in _networks(entry, field):
            if not any(_is_part(network, other) for other in trusted):
                wrong = f"{node.shown} is not within the trustedProxies of {names}"
                accepted = "a filter can only narrow them: add it there, or leave it out here"
                yield pipeline.problem(("filters", number, field, at), wrong, accepted)


def check_proxy_protocol(server: Document) -> Iterator[Problem]:
    """A server whose connections have to come from proxies, of which it trusts none."""
    asked, trusted = server.root.get("proxyProtocol"), server.root.get("trustedProxies")
    if asked is None or asked.value is not True or (trusted is not None and trusted.value != []):
        return
    wrong = "without trustedProxies nobody may connect"
    accepted = "list there the proxies that send the header of the PROXY protocol"
    yield server.problem(("proxyProtocol",), wrong, accepted)


def _backends(server: Document) -> Iterator[str]:
    for _, rule in server.root.items("rules"):
        for _, path in rule.items("paths"):
            if (backend := path.text("backend")) is not None:
                yield backend


def _networks(node: Node, field: str) -> Iterator[tuple[int, Node, Network]]:
    """The entries of a list of networks; `checks` has reported those that are none."""
    for number, entry in node.items(field):
        with suppress(ValueError):
            yield number, entry, parse_network(str(entry.value))


def _is_part(network: Network, other: Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(other, IPv4Network) and network.subnet_of(other)
    return isinstance(other, IPv6Network) and network.subnet_of(other)
