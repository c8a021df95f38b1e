"""A circuit breaker for one server: it opens when too many requests fail.   (pure)

    closed     requests go through; the last ones are remembered
    open       the server gets none, for `wait` seconds
    half-open  it gets a few; if all of them succeed it is closed, if one fails it is open again

Times are seconds on one clock that only goes forward.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from ...filters import SpecFault
from ..causes import Cause, causes

Spec = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """When a breaker opens, and for how long.

    rate     the percentage of failures that opens it
    window   how many of the last requests count
    minimum  how many there have to be before it may open
    wait     for how many seconds it is open
    trials   how many requests are tried after that
    on       what counts as a failure: `causes`
    """

    rate: float
    window: int
    minimum: int
    wait: float
    trials: int
    on: frozenset[Cause]

    @classmethod
    def from_spec(cls, spec: Spec) -> BreakerRule:
        """The rule of a complete `circuitBreaker`."""
        return cls(
            spec["failureRateThreshold"],
            spec["slidingWindowSize"],
            spec["minimumNumberOfCalls"],
            spec["waitDurationInOpenState"],
            spec["permittedNumberOfCallsInHalfOpenState"],
            causes(spec["on"]),
        )


class Breaker:
    """See the module. Call `begun` for each request, and then `ended` with what became of it.

    A request that began before the breaker last opened says nothing about the server as it is now.
    So whoever sends one remembers `openings` as it was at that time.

    rule      when it opens
    until     when it is no longer open; -inf when it is closed
    since     when it has opened
    openings  how often it has opened
    """

    def __init__(self, rule: BreakerRule) -> None:
        self.rule: BreakerRule = rule
        self.until: float = -inf
        self.since: float = -inf
        self.openings: int = 0
        self._failures: deque[bool] = deque(maxlen=rule.window)
        self._begun = self._passed = 0  # of the trials

    def permits(self, now: float) -> bool:
        """Whether the server may be asked."""
        if self.until == -inf:
            return True
        return now >= self.until and self._begun < self.rule.trials

    def begun(self) -> bool:
        """A request is sent. Whether that was the last one of a trial."""
        if self.until == -inf:
            return False
        self._begun += 1
        return self._begun == self.rule.trials

    def given_up(self, openings: int) -> bool:
        """A request has ended without an answer that tells anything: its client has left. Whether
        `permits` may be another by that.

        `openings` is what it was when the request began.
        """
        if openings != self.openings or self.until == -inf:
            return False
        self._begun -= 1
        return True

    def ended(self, openings: int, failed: bool, now: float) -> bool:
        """A request was answered, or has failed. Whether `permits` may be another by that.

        `openings` is what it was when the request began.
        """
        if openings != self.openings:
            return False
        if self.until == -inf:
            self._failures.append(failed)
            return failed and self._is_too_much() and self._open(now)
        if failed:
            return self._open(now)
        self._passed += 1
        return self._passed >= self.rule.trials and self._close()

    def _is_too_much(self) -> bool:
        count = len(self._failures)
        return count >= self.rule.minimum and sum(self._failures) * 100 >= self.rule.rate * count

    def _open(self, now: float) -> bool:
        self.since, self.until = now, now + self.rule.wait
        self.openings += 1
        self._begun = self._passed = 0
        return True

    def _close(self) -> bool:
        self.until = -inf
        self._failures.clear()
        return True


def breaker_faults(spec: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    """What the schema of `circuitBreaker` cannot say."""
    if spec["minimumNumberOfCalls"] > spec["slidingWindowSize"]:
        yield SpecFault(
            (*at, "minimumNumberOfCalls"),
            "so many requests are never remembered",
            "write a number up to slidingWindowSize",
        )
