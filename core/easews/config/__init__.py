"""From YAML files to a checked `Config`, or every fault at once with its place.

sources     which files, and their text
scalars     ${NAME} and the types of plain scalars                            (pure)
documents   Node, Document: values that know where they stand                 (values)
syntax      what PyYAML's complaints mean                                     (pure)
yamlevents  what PyYAML's parser says of a text: events, with their places    (pure)
reader      YAML text -> Documents                                            (pure)
schemas     which schema holds where: for an object, for an entry of `filters`
standalone  the schemas that editors get
fields      a schema's fields as a flat list, for people                      (pure)
easegress   what Easegress has and easews has not: what to do instead         (data)
findings    one mistake, one message: which faults only follow from others
wording     what a schema's fault is called                                   (pure)
keys        what is said of unknown and missing keys                          (pure)
phrases     words and values as they stand in messages                        (pure)
loading     all of this in order: load(paths) -> Config
checks      one document by itself: its schema, its filters
crossrefs   documents against each other and themselves: names that must lead somewhere
flows       the filters of a flow's steps, and where its jumps lead
tls         a server's TLS fields: what they mean, and whether they fit
rewrites    the groups that a rewriteTarget names
admin       the admin interface: what its fields mean, and who would get in
trust       what filters and their servers say about trusted proxies
sessions    filters of messages that no message reaches
shadows     paths that never match, because of an earlier one
excerpts    the line that a problem stands in, without its secrets            (pure)
shown       the objects as they may be shown, without secrets                 (pure)
build       checked documents -> model
patterns    what the hosts and paths of rules are compared with               (pure)
model       Config and its parts: what the rest of easews reads               (values)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .model import (
    Config,
    Drain,
    FilterSpec,
    GatewaySpec,
    PathSpec,
    PipelineSpec,
    RuleSpec,
    ServerSpec,
    StepSpec,
)
from .sources import Source

if TYPE_CHECKING:
    from .loading import from_sources, load

__all__ = [
    "Config",
    "Drain",
    "FilterSpec",
    "GatewaySpec",
    "PathSpec",
    "PipelineSpec",
    "RuleSpec",
    "ServerSpec",
    "Source",
    "StepSpec",
    "from_sources",
    "load",
]


def __getattr__(name: str) -> object:
    """Reading takes 5 MiB of libraries (YAML, JSON Schema), and a worker reads no config."""
    if name not in ("from_sources", "load"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import loading

    found: object = getattr(loading, name)
    return found
