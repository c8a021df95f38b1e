"""Which failures of a server have another one asked, and how often.   (pure)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from ..filters import SpecFault
from .causes import Cause, causes

Spec = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Retries:
    """How a request goes on to another server.

    attempts  how many servers are asked at most; no server is asked twice
    per_try   seconds for one of them, up to the head of its answer
    deadline  seconds for all of them, and for waiting until one is free
    on        after which failures: `causes`
    setting   the field that says `deadline`, for messages
    """

    attempts: float = inf
    per_try: float = inf
    deadline: float = inf
    on: frozenset[Cause] = frozenset({"connect"})
    setting: str = "retries.deadline"

    @classmethod
    def from_spec(cls, spec: Spec) -> Retries:
        """Those of a pool's complete `retries`; an empty one asks every server once."""
        if not spec:
            return cls()
        return cls(
            spec.get("attempts", inf),
            spec["perTry"] or inf,
            spec["deadline"] or inf,
            causes(spec["on"]),
        )

    def within(self, seconds: float, setting: str) -> Retries:
        """These, with a deadline of at most `seconds`, as the field `setting` says."""
        if seconds >= self.deadline:
            return self
        return replace(self, deadline=seconds, setting=setting)


def retry_faults(spec: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    """What the schema of `retries` cannot say."""
    if spec and 0 < spec["deadline"] < spec["perTry"]:
        yield SpecFault(
            (*at, "perTry"),
            "one server may take longer than all of them together",
            "write a duration up to deadline",
        )
