"""Policies that draw lots: random, weightedRandom and powerOfTwo."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from random import Random

from ...http import Request
from ..servers import Member
from .policy import Skip, usable

_random = Random()


class Draw:
    """random, or weightedRandom, where the chances are as the weights."""

    def __init__(self, *, weighted: bool, random: Random = _random) -> None:
        self._weighted = weighted
        self._random = random
        self._members: list[Member] = []
        self._bounds: list[float] = []

    def update(self, members: Sequence[Member]) -> None:
        self._members = usable(members)
        self._bounds = list(accumulate(map(self._chance, self._members)))

    def choose(self, request: Request, skip: Skip | None = None) -> Member | None:
        if skip is not None:
            left = [member for member in self._members if not skip(member)]
            if not left:
                return None
            return self._random.choices(left, [self._chance(member) for member in left])[0]
        if not self._members:
            return None
        return self._members[bisect(self._bounds, self._random.random() * self._bounds[-1])]

    def _chance(self, member: Member) -> float:
        return member.weight if self._weighted else 1.0


class TwoChoices:
    """powerOfTwo: of two that are drawn, the one with less to do by its weight."""

    def __init__(self, random: Random = _random) -> None:
        self._random = random
        self._members: list[Member] = []

    def update(self, members: Sequence[Member]) -> None:
        self._members = usable(members)

    def choose(self, request: Request, skip: Skip | None = None) -> Member | None:
        members = self._members
        if skip is not None:
            members = [member for member in members if not skip(member)]
        if len(members) < 2:
            return members[0] if members else None
        # Two different ones: the second is drawn from the others.
        first = int(self._random.random() * len(members))
        second = int(self._random.random() * (len(members) - 1))
        one, other = members[first], members[second + (second >= first)]
        return other if other.load < one.load else one
