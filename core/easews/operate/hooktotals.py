"""What message hooks have done, through reloads.

A pipeline that a reload changes gets new counts, while its sessions go on with the old ones. Each
filter's are added up, and stay when the last of those sessions is over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from ..observe.metrics.catalogue import HOOK_CALLS, HOOK_ERRORS, HOOK_SECONDS, Figures
from ..pipeline import Pipeline
from ..pipeline.hooksteps import HookCounts

_Key = tuple[str, str]


class HookTotals:
    """Adds up the counts of each filter of each pipeline."""

    def __init__(self) -> None:
        self._past: defaultdict[_Key, HookCounts] = defaultdict(HookCounts)
        self._known: list[tuple[_Key, HookCounts]] = []

    def figures(self, pipelines: Iterable[Pipeline]) -> Iterator[Figures]:
        """The figures; `pipelines` are all that are in use."""
        totals = self._totals(pipelines)
        yield HOOK_CALLS, [(key, counts.calls) for key, counts in totals.items()]
        yield HOOK_SECONDS, [(key, counts.seconds) for key, counts in totals.items()]
        yield HOOK_ERRORS, [(key, counts.errors) for key, counts in totals.items()]

    def _totals(self, pipelines: Iterable[Pipeline]) -> dict[_Key, HookCounts]:
        live = [
            ((pipeline.name, alias), step.counts)
            for pipeline in pipelines
            for alias, step in pipeline.hook_steps
        ]
        in_use = {id(counts) for _, counts in live}
        for key, counts in self._known:
            if id(counts) not in in_use:
                _add(self._past[key], counts)
        self._known = live
        totals: defaultdict[_Key, HookCounts] = defaultdict(HookCounts)
        for key, counts in (*self._past.items(), *live):
            _add(totals[key], counts)
        return totals


def _add(total: HookCounts, counts: HookCounts) -> None:
    total.calls += counts.calls
    total.seconds += counts.seconds
    total.errors += counts.errors
