"""roundRobin: one after the other, each as often as its weight says, evenly spread.

Each server has a time at which it is due, and the one that is due first is next. Between two turns
of a server 1/weight of a round goes by. After a whole round each has had `weight` turns exactly.

Where a server is full or has failed, another one stands in for it. They take turns in that, too,
which does not change their other turns: no server gets all that a dead one should have had.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import heapify, heapreplace

from ...http import Request
from ..servers import Member
from .policy import Skip, usable


class Rotation:
    """A policy; see the module."""

    def __init__(self) -> None:
        self._now = 0.0  # in rounds
        self._due: list[tuple[float, int, Member]] = []
        self._weights: dict[Member, float] = {}
        self._stood_in = 0.0  # in rounds of those who stand in
        self._due_to_stand_in: dict[Member, float] = {}

    def update(self, members: Sequence[Member]) -> None:
        chosen = usable(members)
        before = {member: due - self._now for due, _, member in self._due}
        alike = Counter(member.weight for member in chosen)
        seen: Counter[float] = Counter()
        self._due = []
        for number, member in enumerate(chosen):
            weight = member.weight
            if member in before:  # what it has waited for counts, by its new weight
                wait = before[member] * self._weights[member] / weight
            else:  # those of one weight take their turns at even distances
                wait = (seen[weight] + 0.5) / alike[weight] / weight
                seen[weight] += 1
            self._due.append((self._now + wait, number, member))
        heapify(self._due)
        self._weights = {member: member.weight for member in chosen}
        self._due_to_stand_in = {
            member: self._due_to_stand_in.get(member, 0.0) for member in chosen
        }

    def go_on(self, previous: Rotation, heirs: Mapping[Member, Member]) -> None:
        """Begin where `previous` is, whose members have these heirs. `update` has to follow."""
        kept = [entry for entry in previous._due if entry[2] in heirs]
        self._now = previous._now
        self._due = [(due, number, heirs[member]) for due, number, member in kept]
        self._weights = {heirs[member]: previous._weights[member] for _, _, member in kept}

    def choose(self, request: Request, skip: Skip | None = None) -> Member | None:
        if skip is not None:
            return self._stand_in([entry for entry in self._due if not skip(entry[2])])
        if not self._due:
            return None
        self._now, number, member = self._due[0]
        heapreplace(self._due, (self._now + 1 / self._weights[member], number, member))
        return member

    def _stand_in(self, left: Sequence[tuple[float, int, Member]]) -> Member | None:
        if not left:
            return None
        due = self._due_to_stand_in
        member = min(left, key=lambda entry: (due[entry[2]], entry))[2]
        self._stood_in = max(self._stood_in, due[member])
        due[member] = self._stood_in + 1 / self._weights[member]
        return member
