"""The config that is served, and older ones that requests and sessions still use."""

from __future__ import annotations

from collections.abc import Iterable

from ...owners import Owner
from ...pipeline import Generation, Pipeline
from ...sessions import Session


class Generations:
    """`served` is the newest, which new requests see."""

    def __init__(self, served: Generation) -> None:
        self.served: Generation = served
        self._older: list[Generation] = []

    @property
    def older(self) -> list[Generation]:
        """Those before it that are in use, the oldest first."""
        self._older = [past for past in self._older if past.in_use]
        return self._older

    @property
    def _all(self) -> list[Generation]:
        return [*self.older, self.served]

    def replace(self, generation: Generation) -> None:
        """Serve another from now on."""
        old, self.served = self.served, generation
        old.retire(generation)
        self._older.append(old)

    def abandon(self) -> None:
        """Leave all filters now, whoever may still use them."""
        for generation in self._all:
            generation.abandon()

    async def finish(self) -> None:
        """No request comes any more: return when the last request and session are over."""
        self.served.retire()
        for generation in self._all:
            await generation.wait_unused()

    @property
    def uses(self) -> int:
        """How many requests and sessions there are."""
        return sum(generation.uses for generation in self._all)

    def opened_by_older(self, sessions: Iterable[Session]) -> dict[int, int]:
        """How many of the sessions each older generation has, by its number."""
        openings = [session.opening for session in sessions]
        return {past.number: sum(map(past.opened, openings)) for past in self.older}

    @property
    def pipelines(self) -> list[Pipeline]:
        """The pipelines of the served config, and those that only older sessions have."""
        served = [
            pipeline
            for generation in (self.served, *self.older)
            for pipeline in generation.pipelines.values()
            if pipeline.in_use
        ]
        return [pipeline.flow for pipeline in dict.fromkeys(served)]

    def owners(self, *, older: bool = False) -> list[Owner]:
        """The filters of the served config, each with what it has entered, such as its pools.

        With `older`, those come behind that only sessions of older generations have.
        """
        served = dict.fromkeys(self.served.owners)
        if older:
            for past in reversed(self.older):
                served |= dict.fromkeys(past.owners)
        return list(served)
