"""Names that must lead somewhere, and objects that may not stand together.

The documents are those that `checks` has found reliable. What is void in them, or not what it
should be, has been told; and so has whatever only follows from that, so it is passed over here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address

from ..addresses import UNIX
from ..errors import Problem
from ..plugins import Kinds
from .admin import check_admin
from .documents import Document, Node, Path
from .flows import check_flow
from .phrases import choice
from .rewrites import check_rewrites
from .schemas import OBJECT_KINDS, kind_of
from .sessions import check_readers
from .tls import check_tls
from .trust import check_proxy_protocol, check_trust, servers_by_pipeline

UNLIMITED = -1


def check_crossrefs(documents: Sequence[Document], kinds: Kinds) -> Iterator[Problem]:
    """Every fault between the documents, and between the parts of one."""
    pipelines = {
        name: document
        for document in documents
        if _is(document, "Pipeline") and (name := document.root.text("name")) is not None
    }
    yield from _same_names(documents)
    servers = [document for document in documents if _is(document, "HTTPServer")]
    yield from _same_addresses(servers)
    yield from _other_gateways([document for document in documents if _is(document, "Gateway")])
    leading = servers_by_pipeline(servers)
    for document in documents:
        if _is(document, "HTTPServer"):
            yield from check_tls(document)
            yield from _check_backends(document, documents, pipelines, kinds)
            yield from check_rewrites(document)
            yield from check_proxy_protocol(document)
        elif _is(document, "Gateway"):
            yield from check_admin(document)
        elif _is(document, "Pipeline"):
            yield from _same_filters(document)
            yield from check_flow(document, kinds)
            here = leading.get(document.root.text("name") or "", ())
            yield from check_trust(document, here, kinds)
            yield from check_readers(document, bool(here), kinds)


def _is(document: Document, kind: str) -> bool:
    return isinstance(document.root.value, dict) and document.root.text("kind") == kind


def _same_names(documents: Sequence[Document]) -> Iterator[Problem]:
    first: dict[str, Document] = {}
    for document in documents:
        name = document.root.text("name")
        if name is None:
            continue
        other = first.setdefault(name, document)
        if other is not document:
            where = f"{other.file}:{other.root.children['name'].place.line}"
            shown = document.root.children["name"].shown
            wrong = f"{shown} is the name of another object, at {where}"
            yield document.problem(("name",), wrong, "give each object its own name")


def _other_gateways(gateways: Sequence[Document]) -> Iterator[Problem]:
    for other in gateways[1:]:
        first = gateways[0]
        wrong = f"there is another Gateway, {first.label}, at {first.file}:{first.root.place.line}"
        yield other.problem(("kind",), wrong, "write one for the whole config")


def _same_filters(document: Document) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, node in document.root.items("filters"):
        name = node.text("name")
        if name in seen:
            wrong = f"{node.children['name'].shown} is the name of another filter of this pipeline"
            path = ("filters", number, "name")
            yield document.problem(path, wrong, "give each filter its own name")
        if name is not None:
            seen.add(name)


def _same_addresses(servers: Sequence[Document]) -> Iterator[Problem]:
    for number, server in enumerate(servers):
        for other in servers[:number]:
            if _overlap(server.root, other.root):
                where = f"{other.label}, at {other.file}:{other.root.place.line}"
                if server.root.get("port") is None:
                    wrong = f"this unix socket is that of {where}"
                    yield server.problem(("address",), wrong, "give each server its own path")
                    break
                wrong = f"this address and port are those of {where}"
                yield server.problem(("port",), wrong, "give each server its own port or address")
                break


def _overlap(one: Node, other: Node) -> bool:
    if (address := one.text("address")) and address.startswith(UNIX):
        return address == other.text("address")
    ports = [node.get("port") for node in (one, other)]
    if any(port is None or type(port.value) is not int for port in ports):
        return False
    if len({port.value for port in ports if port is not None}) == 2:
        return False
    addresses = [node.get("address") for node in (one, other)]
    if any(address is not None and address.void for address in addresses):
        return False
    return _addresses_overlap(one.text("address") or "", other.text("address") or "")


def _addresses_overlap(one: str, other: str) -> bool:
    """Whether both cannot be listened on: the same, or one is every interface."""
    if "" in (one, other) or one.lower() == other.lower():
        return True
    try:
        first, second = ip_address(one), ip_address(other)
    except ValueError:
        return False  # host names are looked up when `run` listens
    same_family = first.version == second.version
    return same_family and (first == second or first.is_unspecified or second.is_unspecified)


def _check_backends(
    server: Document,
    documents: Sequence[Document],
    pipelines: Mapping[str, Document],
    kinds: Kinds,
) -> Iterator[Problem]:
    for rule_number, rule in server.root.items("rules"):
        for path_number, node in rule.items("paths"):
            path = ("rules", rule_number, "paths", path_number)
            backend = node.text("backend")
            if backend is None:
                continue
            if backend in pipelines:
                yield from _check_body_limit(server, path, node, pipelines[backend], kinds)
            elif not any(_might_be(backend, document) for document in documents):
                yield _no_pipeline(server, path, node.children["backend"], documents, pipelines)


def _might_be(pipeline: str, document: Document) -> bool:
    """Whether the document may turn out to be this Pipeline once its own faults are mended."""
    root = document.root
    is_known = root.text("kind") in OBJECT_KINDS
    if root.text("name") is None:
        return not is_known or _is(document, "Pipeline")
    return root.text("name") == pipeline and not is_known


def _no_pipeline(
    server: Document,
    path: Path,
    backend: Node,
    documents: Sequence[Document],
    pipelines: Mapping[str, Document],
) -> Problem:
    at = (*path, "backend")
    if any(document.root.text("name") == backend.value for document in documents):
        wrong = f"{backend.shown} is no Pipeline"
    else:
        wrong = f"no Pipeline is called {backend.shown}"
    return server.problem(at, wrong, choice(backend, _names(pipelines.values())))


def _names(pipelines: Iterable[Document]) -> list[str]:
    nodes = [pipeline.root.children["name"] for pipeline in pipelines]
    return [str(node.value) for node in nodes if not node.hidden]


def _check_body_limit(
    server: Document, path: Path, node: Node, pipeline: Document, kinds: Kinds
) -> Iterator[Problem]:
    """What a session sends is no body: a filter that carries sessions limits it by itself."""
    limit = node.get("clientMaxBodySize") or server.root.get("clientMaxBodySize")
    if limit is not None and (limit.value == UNLIMITED or limit.void):
        return
    for _, entry in pipeline.root.items("filters"):
        kind = kind_of(entry, kinds)
        if kind is not None and kind.filter_class.unbounded_body:
            own = node.get("clientMaxBodySize") is not None
            yield server.problem(
                (*path, "clientMaxBodySize") if own else path,
                f"the pipeline {pipeline.label} holds a {kind.name}, which needs an unlimited body",
                "set clientMaxBodySize: -1 on this path or its server",
            )
            return
