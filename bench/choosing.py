"""What choosing a server costs: `python -m bench.choosing [COUNT ...]`.

Each row is a policy, in pools of 1, 10 and 1,000 servers (or COUNT ...). Shown is the CPU time in
microseconds of a choice and of what is told when the session has ended; the median of seven runs.
Each session lasts for a thousand others, so that servers are busy to different degrees.
"""

from __future__ import annotations

import sys
from collections import deque
from itertools import cycle, islice
from statistics import median
from time import process_time
from typing import Any

from easews import Address, Headers, Request
from easews.upstream import Attempt, Pool, Server
from easews.upstream.balance import policy_for

COUNTS = (1, 10, 1_000)
RUNS = 7
CHOICES = 4_000
OPEN = 1_000
USERS = 500

POLICIES: tuple[dict[str, Any], ...] = (
    {"policy": "roundRobin"},
    {"policy": "random"},
    {"policy": "weightedRandom"},
    {"policy": "leastConnections"},
    {"policy": "powerOfTwo"},
    {"policy": "ipHash"},
    {"policy": "headerHash", "headerHashKey": "X-User"},
    {"policy": "cookieHash", "cookieHashKey": "user"},
    {"policy": "consistentHash"},
)


def requests() -> list[Request]:
    """One request of each user, with what a browser sends."""
    return [
        Request(
            "GET",
            "/",
            Headers([("Cookie", f"lang=en; user={user}"), ("X-User", f"{user}")]),
            client=Address(f"10.1.{user // 250}.{user % 250}"),
        )
        for user in range(USERS)
    ]


def pool_of(count: int, spec: dict[str, Any]) -> Pool:
    """`count` servers of different weights."""
    servers = [
        Server.at(f"ws://s{number}.example", weight=1 + number % 3) for number in range(count)
    ]
    return Pool(servers, policy_for(spec))


def choose(pool: Pool, users: cycle[Request], open_now: deque[Attempt], count: int) -> None:
    """Open `count` sessions, and end the oldest one for each."""
    for request in islice(users, count):
        if (attempt := pool.next(request)) is not None:
            open_now.append(attempt)
        open_now.popleft().over()


def microseconds(count: int, spec: dict[str, Any]) -> float:
    """What one choice and its end cost in a pool of `count` servers."""
    pool, users = pool_of(count, spec), cycle(requests())
    attempts = (pool.next(request) for request in islice(users, OPEN))
    open_now = deque(attempt for attempt in attempts if attempt is not None)
    times = []
    for _ in range(RUNS):
        before = process_time()
        choose(pool, users, open_now, CHOICES)
        times.append((process_time() - before) / CHOICES * 1e6)
    for attempt in open_now:
        attempt.over()
    return median(times)


def main() -> None:
    counts = [*map(int, sys.argv[1:])] or COUNTS
    print("| us for a choice among | " + " | ".join(f"{count:,}" for count in counts) + " |")
    print("|---|" + "--:|" * len(counts))
    for spec in POLICIES:
        times = [f"{microseconds(count, spec):.2f}" for count in counts]
        print(f"| {spec['policy']} | " + " | ".join(times) + " |", flush=True)


if __name__ == "__main__":
    main()
