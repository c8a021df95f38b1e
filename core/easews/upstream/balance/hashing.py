"""Policies that lead a client to the same server each time: ipHash, headerHash, cookieHash and
consistentHash.

Each server has points on a ring, as many as its weight says. A key has a point, too, and gets the
server whose point is next. When a server leaves, only its keys move; when one comes, only those
that it gets. A server that cannot be chosen for a while keeps its points and is passed over.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from math import ceil, log2

from ...http import Request
from ..servers import Member, Standing
from .policy import Policy, Skip, usable

#: About as many points has a server of the average weight: with 128 the shares differ by about 9 %.
POINTS = 128
#: A server has at most this much of the average to do with consistentHash, by its weight.
BOUND = 1.25

#: What a request is known by; None when it lacks that.
Key = Callable[[Request], str | None]

_OWNER_BITS = 16  # the low bits of a point say whose it is
_unpack = struct.Struct("<8Q").unpack


class Ring:
    """The points of all members, in order."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        each = POINTS / _scale([member.server.weight for member in members])
        points: list[int] = []
        for number, member in enumerate(members):
            count = max(1, round(each * member.server.weight))
            points += (
                point >> _OWNER_BITS << _OWNER_BITS | number
                for point in _points(member.server.identity, count)
            )
        self._points = array("Q", sorted(points))

    def walk(self, key: str) -> Iterator[Member]:
        """The members from the key's point on, once around; each comes several times."""
        points, members = self._points, self._members
        first = bisect(points, _point(key))
        for index in range(first, first + len(points)):
            yield members[points[index % len(points)] & ((1 << _OWNER_BITS) - 1)]


def _scale(weights: Sequence[float]) -> float:
    """The average weight, as a power of two: so it seldom changes when a weight does, and with it
    the points of all other servers.
    """
    return 2.0 ** round(log2(sum(weights) / len(weights)))


def _point(key: str) -> int:
    digest = blake2b(key.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _points(identity: str, count: int) -> list[int]:
    """`count` points that depend on the identity only; 8 to a digest."""
    points: list[int] = []
    for number in range(-(-count // 8)):
        points += _unpack(blake2b(f"{identity} {number}".encode()).digest())
    return points[:count]


class Hashed:
    """ipHash, headerHash and cookieHash; see the module. `others` chooses for requests without a
    key.
    """

    def __init__(self, key: Key, others: Policy) -> None:
        self._key = key
        self.others: Policy = others
        self._weights: list[tuple[Member, int]] = []
        self._ring: Ring | None = None

    def update(self, members: Sequence[Member]) -> None:
        self.others.update(members)
        weights = [(member, member.server.weight) for member in members]
        if weights != self._weights:
            self._weights = weights
            self._ring = Ring(list(members)) if members else None

    def choose(self, request: Request, skip: Skip | None = None) -> Member | None:
        key = self._key(request)
        if key is None or self._ring is None:
            return self.others.choose(request, skip)
        return self._first(self._ring.walk(key), skip)

    def _first(self, members: Iterator[Member], skip: Skip | None) -> Member | None:
        for member in members:
            if member.usable and not (skip and skip(member)):
                return member
        return None


class Bounded(Hashed):
    """consistentHash: a server that has over `BOUND` times its fair share to do is passed over,
    so that one popular key cannot overload it.
    """

    def __init__(self, key: Key, others: Policy) -> None:
        super().__init__(key, others)
        self._active = 0  # of the members that may be chosen
        self._weight = 0.0
        self._counted: dict[Standing, int] = {}  # what each of them has in it

    def update(self, members: Sequence[Member]) -> None:
        super().update(members)
        chosen = usable(members)
        self._weight = sum(member.weight for member in chosen)
        self._counted = {member.standing: member.standing.active for member in chosen}
        self._active = sum(self._counted.values())
        for standing in self._counted:
            standing.follow(self)

    def moved(self, standing: Standing, by: int) -> None:
        # By what was counted: `update` may have seen the change before this was told of it.
        if standing in self._counted:
            self._active += standing.active - self._counted[standing]
            self._counted[standing] = standing.active

    def _first(self, members: Iterator[Member], skip: Skip | None) -> Member | None:
        second = None  # the best of those that have too much to do
        for member in members:
            if member.usable and not (skip and skip(member)):
                if self._accepts(member):
                    return member
                second = second or member
        return second

    def _accepts(self, member: Member) -> bool:
        share = (self._active + 1) * member.weight / self._weight
        return member.standing.active < ceil(BOUND * share)
