"""What a pool's spec says of health, as rules; and its faults that the schema cannot express."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...filters import SpecFault
from ..causes import causes
from .breaker import BreakerRule, breaker_faults
from .checks import Check, check_faults, check_from_spec
from .rules import EjectionRule

Spec = Mapping[str, Any]

#: Policies that do not look at the weight that a server has at present.
WEIGHTLESS = ("random", "ipHash", "headerHash", "cookieHash")


@dataclass(frozen=True, slots=True)
class HealthRules:
    """What a pool makes of the health of its servers.

    ejection     when failed requests take a server out, and for how long
    check        how servers are asked whether they are well; None for not at all
    panic_below  with fewer than this percentage of servers left all of them are used; 0 for never
    slow_start   seconds in which a server that is new or back gets its full weight; 0 for at once
    breaker      when so many requests fail that a server gets none for a while; None for never
    """

    ejection: EjectionRule = field(default_factory=EjectionRule)
    check: Check | None = None
    panic_below: int = 0
    slow_start: float = 0.0
    breaker: BreakerRule | None = None

    @classmethod
    def from_spec(cls, spec: Spec) -> HealthRules:
        """The rules of a pool's spec. What it does not say is as usual."""
        check = spec.get("healthCheck")
        return cls(
            _ejection(spec["ejection"]) if "ejection" in spec else EjectionRule(),
            None if check is None else check_from_spec(check),
            spec.get("panicBelow", 0),
            spec.get("loadBalance", {}).get("slowStart", 0.0),
            BreakerRule.from_spec(spec["circuitBreaker"]) if "circuitBreaker" in spec else None,
        )


def _ejection(spec: Spec) -> EjectionRule:
    return EjectionRule(
        spec["failures"], spec["for"], spec["maxFor"], spec["maxShare"], causes(spec["on"])
    )


def health_faults(pool: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    """The faults of what a pool says of health that its schema cannot express."""
    if "healthCheck" in pool:
        yield from check_faults(pool["healthCheck"], (*at, "healthCheck"))
    if "circuitBreaker" in pool:
        yield from breaker_faults(pool["circuitBreaker"], (*at, "circuitBreaker"))
    ejection = pool.get("ejection")
    if ejection and ejection["maxFor"] < ejection["for"]:
        yield SpecFault(
            (*at, "ejection", "maxFor"),
            "it is shorter than `for`, the time of the first ejection",
            "write a duration of at least `for`",
        )
    balance = pool.get("loadBalance", {})
    if balance.get("slowStart") and balance.get("policy", "") in WEIGHTLESS:
        yield SpecFault(
            (*at, "loadBalance", "slowStart"),
            f"{balance['policy']} gives a server that is back its share at once",
            "choose a policy that looks at weights, such as leastConnections, or leave it out",
        )
