"""Which failures of a server have another one asked, and how often.   (pure)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from ..errors import ConnectError, UpstreamError, UpstreamTimeout
from ..filters import SpecFault

Spec = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Retries:
    """How a request goes on to another server.

    attempts  how many servers are asked at most; no server is asked twice
    per_try   seconds for one of them, up to the head of its answer
    deadline  seconds for all of them, and for waiting until one is free
    connect   whether a server that cannot be reached is a reason
    timeout   whether a server that does not answer in time is one
    statuses  the statuses that are
    """

    attempts: float = inf
    per_try: float = inf
    deadline: float = inf
    connect: bool = True
    timeout: bool = False
    statuses: frozenset[int] = frozenset()

    @classmethod
    def from_spec(cls, spec: Spec) -> Retries:
        """Those of a pool's complete `retries`; an empty one asks every server once."""
        if not spec:
            return cls()
        on = spec["on"]
        return cls(
            spec.get("attempts", inf),
            spec["perTry"] or inf,
            spec["deadline"] or inf,
            "connect" in on,
            "timeout" in on,
            frozenset(cause for cause in on if isinstance(cause, int)),
        )

    def heeds(self, failure: UpstreamError) -> bool:
        """Whether another server may be asked after `failure`."""
        if isinstance(failure, ConnectError):
            return self.connect
        return self.timeout and isinstance(failure, UpstreamTimeout)


def retry_faults(spec: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    """What the schema of `retries` cannot say."""
    if spec and 0 < spec["deadline"] < spec["perTry"]:
        yield SpecFault(
            (*at, "perTry"),
            "one server may take longer than all of them together",
            "write a duration up to deadline",
        )
