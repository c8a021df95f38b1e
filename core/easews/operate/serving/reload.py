"""What a new config changes. Pure: two configs in, a plan out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...addresses import UNIX
from ...config.model import Config, FilterSpec, ServerSpec
from ...sessions import Route
from .changes import Change, changes_between


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be done so that the new config is served.

    keeps      the servers that go on listening where they do: new name -> old name
    opens      the servers that listen somewhere new
    closes     the names of the servers that listen no longer
    paths      the keys of the paths that there are now
    pipelines  the names of the pipelines that there are now
    started    the filters that are new or changed, as (pipeline, filter); all others stay
    changes    what is different, in the words of the config; none: there is nothing to do
    """

    keeps: Mapping[str, str]
    opens: tuple[ServerSpec, ...]
    closes: tuple[str, ...]
    paths: frozenset[str]
    pipelines: frozenset[str]
    started: frozenset[tuple[str, str]]
    changes: tuple[Change, ...]

    def drops(self, route: Route) -> bool:
        """Whether the path or pipeline that a session came by is gone, so that it has to end."""
        return route.key not in self.paths or route.pipeline not in self.pipelines


def plan(before: Config, after: Config) -> Plan:
    """How to get from one config that is served to the other."""
    keeps = {spec.name: old for spec in after.servers if (old := _listens_as(spec, before))}
    return Plan(
        keeps=keeps,
        opens=tuple(spec for spec in after.servers if spec.name not in keeps),
        closes=tuple(spec.name for spec in before.servers if spec.name not in set(keeps.values())),
        paths=frozenset(
            path.key for spec in after.servers for rule in spec.rules for path in rule.paths
        ),
        pipelines=frozenset(spec.name for spec in after.pipelines),
        started=_started(before, after),
        changes=changes_between(before, after, keeps),
    )


def _listens_as(spec: ServerSpec, before: Config) -> str | None:
    """The name of the server that listens where `spec` wants to. Port 0 is a new one each time,
    unless the server is the same.
    """
    for old in before.servers:
        same_place = (old.address, old.port) == (spec.address, spec.port)
        is_one_place = spec.port or spec.address.startswith(UNIX)
        if same_place and (is_one_place or old.name == spec.name):
            return old.name
    return None


def _started(before: Config, after: Config) -> frozenset[tuple[str, str]]:
    old = _filters(before)
    return frozenset(key for key, entry in _filters(after).items() if old.get(key) != entry)


def _filters(config: Config) -> dict[tuple[str, str], FilterSpec]:
    return {
        (pipeline.name, entry.name): entry
        for pipeline in config.pipelines
        for entry in pipeline.filters
    }
