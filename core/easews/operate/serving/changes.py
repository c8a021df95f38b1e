"""How two configs differ, in the words of the config. Pure: two configs in, a list out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from ...addresses import Address
from ...config.model import (
    AdminSpec,
    Config,
    FilterSpec,
    PathSpec,
    PipelineSpec,
    RequestLimits,
    ServerSpec,
)

_ABSENT: Any = object()

How = Literal["added", "removed", "changed"]

#: How many problems, or changes, the log has of one config.
MOST_TOLD = 20

#: Fields of a server that are compared in a way of their own, or that follow from others.
_NOT_NAMED = {"name", "rules", "limits", "place", "reserved", "expects_connections"}
_NAMES = {
    "tls": "TLS",
    "forwarded_for": "xForwardedFor",
    "ip_filter": "ipFilter",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    how     what has become of it
    of      where it is: ``server web``, ``pipeline chat`` or ``gateway``
    part    what it is there, such as ``path /ws`` or ``filter proxy``; empty: all of it
    detail  what is different, or what follows from it
    drains  whether open sessions end by it
    """

    how: How
    of: str
    part: str = ""
    detail: str = ""
    drains: bool = False

    def __str__(self) -> str:
        what = " ".join(filter(None, (f"{self.of}:" if self.part else self.of, self.part)))
        told = f"{what} {self.how}"
        told = f"{told} ({self.detail})" if self.detail else told
        return f"{told}; its sessions are drained" if self.drains else told


def changes_between(before: Config, after: Config, keeps: Mapping[str, str]) -> tuple[Change, ...]:
    """Every difference that counts. `keeps` are the servers that go on listening: new -> old."""
    return (
        *_servers(before, after, keeps),
        *_pipelines(before, after),
        *_gateway(before, after),
    )


def _servers(before: Config, after: Config, keeps: Mapping[str, str]) -> Iterator[Change]:
    old = {spec.name: spec for spec in before.servers}
    for spec in after.servers:
        if spec.name in keeps:
            yield from _server(old[keeps[spec.name]], spec)
        else:
            yield Change("added", f"server {spec.name}", detail=f"listens on {_where(spec)}")
    for spec in before.servers:
        if spec.name not in keeps.values():
            detail = f"no longer listens on {_where(spec)}"
            yield Change("removed", f"server {spec.name}", detail=detail, drains=True)


def _where(spec: ServerSpec) -> str:
    return str(Address(spec.address or "*", spec.port))


def _server(before: ServerSpec, after: ServerSpec) -> Iterator[Change]:
    of = f"server {after.name}"
    if before.name != after.name:
        yield Change("changed", of, detail=f"was called {before.name}", drains=True)
        return
    names = [*_different(before, after), *_different(before.limits, after.limits)]
    if names:
        yield Change("changed", of, detail=", ".join(names))
    if before.rules != after.rules:
        paths = [*_paths(of, before, after)]
        yield from paths or [Change("changed", of, "rules", "their order, hosts or ipFilter")]
    elif before.reserved != after.reserved:
        yield Change("changed", of, detail="which header fields no client may send")


def _different(before: ServerSpec | RequestLimits, after: ServerSpec | RequestLimits) -> list[str]:
    """The fields that are different, as a config names them."""
    return [
        _NAMES.get(field.name) or _camel(field.name)
        for field in fields(before)
        if field.name not in _NOT_NAMED
        and getattr(before, field.name) != getattr(after, field.name)
    ]


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _paths(of: str, before: ServerSpec, after: ServerSpec) -> Iterator[Change]:
    old, new = _by_key(before), _by_key(after)
    for key, path in new.items():
        if key not in old:
            yield Change("added", of, _path(path), f"leads to {path.backend}")
        elif path != old[key]:
            yield Change("changed", of, _path(path), _path_detail(old[key], path))
    for key, path in old.items():
        if key not in new:
            yield Change("removed", of, _path(path), drains=True)


def _by_key(spec: ServerSpec) -> dict[str, PathSpec]:
    return {path.key: path for rule in spec.rules for path in rule.paths}


def _path(spec: PathSpec) -> str:
    return spec.form or "path of any kind"


def _path_detail(before: PathSpec, after: PathSpec) -> str:
    if before.backend != after.backend:
        return f"leads to {after.backend}, led to {before.backend}"
    names = (field.name for field in fields(before))
    other = (name for name in names if getattr(before, name) != getattr(after, name))
    return ", ".join(_NAMES.get(name) or _camel(name) for name in other)


def _pipelines(before: Config, after: Config) -> Iterator[Change]:
    old = {spec.name: spec for spec in before.pipelines}
    new = {spec.name: spec for spec in after.pipelines}
    for name, spec in new.items():
        if name not in old:
            yield Change("added", f"pipeline {name}")
        elif spec != old[name]:
            yield from _pipeline(old[name], spec)
    for name in old:
        if name not in new:
            yield Change("removed", f"pipeline {name}", drains=True)


def _pipeline(before: PipelineSpec, after: PipelineSpec) -> Iterator[Change]:
    of = f"pipeline {after.name}"
    old = {entry.name: entry for entry in before.filters}
    new = {entry.name: entry for entry in after.filters}
    for name, entry in new.items():
        if name not in old:
            yield Change("added", of, f"filter {name}", entry.kind.name)
        elif entry != old[name]:
            yield Change("changed", of, f"filter {name}", _kind_detail(old[name], entry))
    for name in old:
        if name not in new:
            yield Change("removed", of, f"filter {name}")
    if before.flow != after.flow:
        yield Change("changed", of, "flow")
    if before.data != after.data:
        yield Change("changed", of, "data")


def _kind_detail(before: FilterSpec, after: FilterSpec) -> str:
    """Which of its fields are different; their values may be secret."""
    if before.kind.name != after.kind.name:
        return f"is a {after.kind.name}, was a {before.kind.name}"
    keys = dict.fromkeys((*after.spec, *before.spec))
    other = [key for key in keys if after.spec.get(key, _ABSENT) != before.spec.get(key, _ABSENT)]
    old = dict(before.files)
    other += [
        f"{name} has changed" for name, digest in after.files if old.get(name, digest) != digest
    ]
    return ", ".join(other) or f"another {after.kind.name}"


def _gateway(before: Config, after: Config) -> Iterator[Change]:
    if before.gateway.drain != after.gateway.drain:
        yield Change("changed", "gateway", "drain")
    if before.gateway.log_format != after.gateway.log_format:
        yield Change("changed", "gateway", "log.format", "at the next start")
    if before.gateway.tracing != after.gateway.tracing:
        yield Change("changed", "gateway", "tracing", "at the next start")
    if before.gateway.workers != after.gateway.workers:
        yield Change("changed", "gateway", "workers", "at the next start")
    yield from _admin(before.gateway.admin, after.gateway.admin)


def _admin(before: AdminSpec | None, after: AdminSpec | None) -> Iterator[Change]:
    if before is not None and after is not None and before.tap != after.tap:
        yield Change("changed", "gateway", "admin.tap")
        before = replace(before, tap=after.tap)
    if before != after:
        yield Change("changed", "gateway", "admin", "at the next start")


def listed(items: Iterable[object], most: int = MOST_TOLD, between: str = "; ") -> str:
    """The first of them, and how many more there are."""
    texts = [str(item) for item in items]
    more = [f"and {len(texts) - most} more"] if len(texts) > most else []
    return between.join([*texts[:most], *more])
