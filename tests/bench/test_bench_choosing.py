"""The benchmark of policies: each of them chooses, and every session that opens ends."""

from __future__ import annotations

from collections import deque
from itertools import cycle
from typing import Any

import pytest
from bench.choosing import POLICIES, choose, pool_of, requests


@pytest.mark.parametrize("spec", POLICIES, ids=lambda spec: spec["policy"])
def test_every_policy_chooses_for_every_user(spec: dict[str, Any]) -> None:
    pool, users = pool_of(3, spec), cycle(requests())
    open_now = deque(attempt for _ in range(9) if (attempt := pool.next(next(users))))
    choose(pool, users, open_now, 20)
    assert sum(standing.active for standing in pool.standings.values()) == len(open_now) == 9
    for attempt in open_now:
        attempt.over()
