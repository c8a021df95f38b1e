"""What the hosts and paths of rules are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..http.hosts import host_name
from ..http.paths import merged
from .model import PathSpec, RuleSpec


class Pattern(NamedTuple):
    """How a host or a path is compared, and with which text: it `is`, `begins` or `ends` as the
    text says, or the `regexp` is found in it.
    """

    kind: str
    text: str


EVERYTHING = Pattern("begins", "")


def host_patterns(rule: RuleSpec) -> Iterator[Pattern]:
    """The hosts of a rule; one that names none holds for every host."""
    if not rule.hosts and not rule.host_regexps:
        yield EVERYTHING
    for host in map(host_name, rule.hosts):
        if host.endswith("*"):
            yield Pattern("begins", host[:-1])
        elif host.startswith("*"):
            yield Pattern("ends", host[1:])
        else:
            yield Pattern("is", host)
    for regexp in rule.host_regexps:
        yield Pattern("regexp", regexp)


def path_pattern(path: PathSpec) -> Pattern:
    """The path of an entry, as requests are compared with it: with repeated slashes as one."""
    if path.path is not None:
        return Pattern("is", merged(path.path))
    if path.path_regexp is not None:
        return Pattern("regexp", path.path_regexp)
    return Pattern("begins", merged(path.path_prefix or ""))
