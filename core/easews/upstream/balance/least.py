"""leastConnections: the server with the least to do, by its weight.

What a server has to do are its open sessions and its requests in progress, those of other pools
and of earlier configs too.

The members are a heap by load. One that got more to do is put right when it comes up, so that
costs nothing in between; one that got less to do is entered anew, and its old entry is passed
over when it comes up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from heapq import heapify, heappop, heappush, heapreplace

from ...http import Request
from ..servers import Member, Standing
from .policy import Skip, usable

_Entry = tuple[float, int, Member]  # the load, and a number that puts equals in turn


class Least:
    """A policy; see the module."""

    def __init__(self) -> None:
        self._heap: list[_Entry] = []
        self._latest: dict[Member, int] = {}  # the number of the entry that counts
        self._by_standing: dict[Standing, list[Member]] = {}
        self._entries = 0

    def update(self, members: Sequence[Member]) -> None:
        by_standing: defaultdict[Standing, list[Member]] = defaultdict(list)
        for member in usable(members):
            by_standing[member.standing].append(member)
            member.standing.follow(self)
        self._by_standing = dict(by_standing)
        self._rebuild()

    def choose(self, request: Request, skip: Skip | None = None) -> Member | None:
        if skip is not None:
            left = [member for member in self._latest if not skip(member)]
            return min(left, key=_load, default=None)
        heap, latest = self._heap, self._latest
        while heap:
            load, number, member = heap[0]
            if latest[member] != number:
                heappop(heap)
            elif (now := member.load) > load:
                heapreplace(heap, self._entry(member, now))
            else:
                # It goes behind its equals even if this choice comes to nothing.
                heapreplace(heap, self._entry(member, load))
                return member
        return None

    def moved(self, standing: Standing, by: int) -> None:
        if by > 0:
            return
        # A server may be a member twice: then these keep their order.
        for member in sorted(self._by_standing.get(standing, ()), key=self._latest.__getitem__):
            heappush(self._heap, self._entry(member, member.load))
        if len(self._heap) > 64 + 4 * len(self._latest):
            self._rebuild()

    def _entry(self, member: Member, load: float) -> _Entry:
        self._entries += 1
        self._latest[member] = self._entries
        return load, self._entries, member

    def _rebuild(self) -> None:
        self._latest = {}
        members = [member for group in self._by_standing.values() for member in group]
        self._heap = [self._entry(member, member.load) for member in members]
        heapify(self._heap)


def _load(member: Member) -> float:
    return member.load
