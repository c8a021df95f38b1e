"""Checked documents as the values of `model`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..addresses import parse_network, parse_peers
from ..http import hyphenated
from ..plugins import Kinds
from ..schema import ReadFile, complete
from .admin import admin_spec
from .checks import Checked
from .documents import Document, Path
from .model import (
    Condition,
    Config,
    Drain,
    FilterSpec,
    GatewaySpec,
    IpFilterSpec,
    PathSpec,
    PipelineSpec,
    RequestLimits,
    RuleSpec,
    ServerSpec,
    StepSpec,
    Tracing,
)
from .schemas import object_schema
from .shown import shown
from .tls import meant_fields, tls_spec

Fields = Mapping[str, Any]


def build(checked: Iterable[Checked], kinds: Kinds) -> Config:
    """The config that documents without a fault mean."""
    objects = [
        (complete(object_schema(it.document.root.value["kind"]), it.document.root.value), it)
        for it in checked
    ]
    gateways = [(given, it.document) for given, it in objects if given["kind"] == "Gateway"]
    return Config(
        servers=_with_reserved(
            [_server(given, it.document) for given, it in objects if given["kind"] == "HTTPServer"]
        ),
        pipelines=tuple(
            _pipeline(given, it, kinds) for given, it in objects if given["kind"] == "Pipeline"
        ),
        gateway=_gateway(*gateways[0] if gateways else (complete(object_schema("Gateway"), {}),)),
        shown=shown([(_meant(given), it) for given, it in objects], kinds),
    )


def _meant(given: Fields) -> Fields:
    """An object with its defaults as somebody could have written it."""
    return meant_fields(given) if given["kind"] == "HTTPServer" else given


def _gateway(given: Fields, document: Document | None = None) -> GatewaySpec:
    admin = None
    if document is not None and "admin" in given:
        place = _place(document, ("admin", "address")) or _place(document, ("admin",))
        admin = admin_spec(given["admin"], document.file, place)
    return GatewaySpec(
        drain=_drain(given["drain"]),
        log_format=given["log"]["format"],
        admin=admin,
        tracing=_tracing(given["tracing"]) if "tracing" in given else None,
        workers=given["workers"],
    )


def _tracing(given: Fields) -> Tracing:
    return Tracing(
        given.get("endpoint", ""), given.get("sampleRatio"), given.get("serviceName", "")
    )


def _drain(given: Fields) -> Drain:
    return Drain(
        delay=given["delay"],
        window=given["window"],
        deadline=given["deadline"],
        code=given["code"],
        per_second=given["perSecond"],
    )


def _place(document: Document, path: Path) -> str:
    node = document.at(path)
    return f"{document.file}:{node.place.line}:{node.place.column}" if node is not None else ""


def _server(given: Fields, document: Document) -> ServerSpec:
    name, port = given["name"], given.get("port", 0)
    return ServerSpec(
        name=name,
        port=port,
        address=given["address"],
        socket_mode=int(given["socketMode"], 8),
        keep_alive=given["keepAlive"],
        keep_alive_timeout=given["keepAliveTimeout"],
        max_connections=given["maxConnections"],
        expects_connections="maxConnections" in document.root.value,
        client_max_body_size=given["clientMaxBodySize"],
        limits=_limits(given),
        max_connections_per_client=given.get("maxConnectionsPerClient"),
        trusted_proxies=tuple(map(parse_peers, given["trustedProxies"])),
        client_address_from=given.get("clientAddressFrom"),
        forwarded_for=given["xForwardedFor"],
        proxy_protocol=given["proxyProtocol"],
        access_log_format=given["accessLogFormat"],
        ip_filter=_ip_filter(given.get("ipFilter")),
        rules=_with_keys((name, given["address"], port), map(rule_spec, given["rules"])),
        tls=tls_spec(given, document.file),
        place=_place(document, ("port",) if "port" in given else ("address",)),
    )


def _limits(given: Fields) -> RequestLimits:
    return RequestLimits(
        header_timeout=given["headerTimeout"],
        max_header_bytes=given["maxHeaderBytes"],
        max_request_line=given["maxRequestLine"],
        max_headers=given["maxHeaders"],
        body_timeout=given["bodyTimeout"],
        min_body_rate=given["minBodyRate"],
    )


def _with_reserved(servers: Sequence[ServerSpec]) -> tuple[ServerSpec, ...]:
    """The servers, none of which takes over what one of them says of clients' certificates."""
    told = [name for spec in servers if spec.tls for name in spec.tls.client_fields.values()]
    reserved = frozenset(map(hyphenated, told))
    return tuple(replace(spec, reserved=reserved) for spec in servers)


def rule_spec(given: Fields) -> RuleSpec:
    """An entry of `rules`, with its defaults filled in; its paths have no keys yet."""
    hosts = [{"value": host} if isinstance(host, str) else host for host in given["hosts"]]
    if "host" in given:
        hosts.insert(0, {"value": given["host"]})
    if "hostRegexp" in given:
        hosts.append({"value": given["hostRegexp"], "isRegexp": True})
    return RuleSpec(
        hosts=tuple(host["value"] for host in hosts if not host.get("isRegexp")),
        host_regexps=tuple(host["value"] for host in hosts if host.get("isRegexp")),
        paths=tuple(map(_path, given["paths"])),
        ip_filter=_ip_filter(given.get("ipFilter")),
    )


def _ip_filter(given: Fields | None) -> IpFilterSpec | None:
    if given is None:
        return None
    return IpFilterSpec(
        block_by_default=given["blockByDefault"],
        allow=tuple(map(parse_network, given["allowIPs"])),
        block=tuple(map(parse_network, given["blockIPs"])),
    )


def _with_keys(server: tuple[str, str, int], rules: Iterable[RuleSpec]) -> tuple[RuleSpec, ...]:
    """The rules with a `key` in each path; entries that match the same are numbered. `server` is
    the name of theirs, and where it listens.
    """
    times: Counter[str] = Counter()

    def keyed(rule: RuleSpec, path: PathSpec) -> PathSpec:
        hosts = (*rule.hosts, *rule.host_regexps) or ("*",)
        matches = path.path, path.path_prefix, path.path_regexp
        key = " ".join(map(str, (*server, *hosts, *matches, *path.methods, *_asked(path))))
        times[key] += 1
        return replace(path, key=f"{key} #{times[key]}")

    return tuple(
        replace(rule, paths=tuple(keyed(rule, path) for path in rule.paths)) for rule in rules
    )


def _asked(path: PathSpec) -> Iterator[object]:
    """What the path asks of headers and queries, as far as it does."""
    if path.headers:
        yield from ("headers", path.match_all_header, *path.headers)
    if path.queries:
        yield from ("queries", path.match_all_query, *path.queries)


def _path(given: Fields) -> PathSpec:
    return PathSpec(
        backend=given["backend"],
        path=given.get("path"),
        path_prefix=given.get("pathPrefix"),
        path_regexp=given.get("pathRegexp"),
        rewrite_target=given.get("rewriteTarget"),
        methods=tuple(given["methods"]),
        client_max_body_size=given.get("clientMaxBodySize"),
        headers=tuple(map(_condition, given["headers"])),
        queries=tuple(map(_condition, given["queries"])),
        match_all_header=given["matchAllHeader"],
        match_all_query=given["matchAllQuery"],
        ip_filter=_ip_filter(given.get("ipFilter")),
    )


def _condition(given: Fields) -> Condition:
    return Condition(given["key"], tuple(given.get("values", ())), given.get("regexp"))


def _pipeline(given: Fields, checked: Checked, kinds: Kinds) -> PipelineSpec:
    filters = tuple(
        FilterSpec(
            entry["name"],
            kinds[entry["kind"]],
            checked.specs[number],
            _place(checked.document, ("filters", number)),
            tuple((name, _digest(name)) for name in _read_files(checked.specs[number])),
        )
        for number, entry in enumerate(given["filters"])
    )
    steps: Sequence[Fields] = given["flow"] or [
        {"filter": entry.name, "jumpIf": {}} for entry in filters
    ]
    return PipelineSpec(
        name=given["name"],
        filters=filters,
        flow=tuple(
            StepSpec(step["filter"], step.get("alias", step["filter"]), step["jumpIf"])
            for step in steps
        ),
        data=given["data"],
    )


def _read_files(value: Any) -> Iterator[str]:
    """The files that a filter's spec names, and whose content counts."""
    if isinstance(value, ReadFile):
        yield str(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _read_files(item)
    elif isinstance(value, list):
        for item in value:
            yield from _read_files(item)


def _digest(file: str) -> str:
    """Of a file's content; empty when it cannot be read, which its filter has to say."""
    try:
        with open(file, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return ""
