"""`python -m bench.balancing FOLDER`: what the policies do after a scale-out, simulated.

Writes FOLDER/balancing.md and FOLDER/balancing.svg. Takes some seconds, of a virtual clock's days.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from .linechart import Line, line_chart
from .simulation import AFTER, CASES, HOUR, MINUTE, SERVERS, SESSIONS, Case, Run, Simulation

SEEDS = (1, 2, 3)
#: As even as anybody needs.
EVEN = 0.1
#: The lines of the chart, by the names of the cases.
SHOWN = {
    "roundRobin": "roundRobin",
    "roundRobin, 20 shed a minute": "roundRobin, rebalance",
    "ipHash": "ipHash",
    "leastConnections": "leastConnections",
    "leastConnections, 20 shed a minute": "leastCon…, rebalance",
    "HAProxy's leastconn, a model": "HAProxy's leastconn",
}
PAGE = """\
# How sessions are spread

<!-- Written by `python -m bench.balancing`. Change that, or run it anew. -->

A session stays at its server for as long as it is open. So a server that is added gets new sessions
only, and the policy decides how long it takes until it has its share.

![The fullest server after a fourth one was added](balancing.svg)

This is a simulation on a virtual clock, with easews' own pools and policies. {sessions:,} sessions
are open on average, on {servers} servers. They come at random times and last for 20 minutes in the
median; one in twenty lasts longer than two and a half hours (a log-normal distribution). At the
time 0 a fourth server is added. Each figure says how far the fullest server is above its fair
share, in percent of that share. At 33% the new server has nothing yet. Each is the median of three
runs.

| policy | after 10 min | 30 min | 1 h | 2 h | 8 h | below {even:.0%} after | sessions closed |
|---|--:|--:|--:|--:|--:|--:|--:|
{rows}

- **leastConnections** sends all new sessions to the new server until it has caught up. This is what
  HAProxy's `leastconn` does, too: the line of its model lies on ours. If a new server must not get
  that many sessions at once, `slowStart` lets it begin with fewer.
- **roundRobin and random** give it a quarter of the new sessions. The load is even when the old
  sessions have ended, which takes hours.
- **Hashes** give each server the clients that belong to it, so the shares always differ by some
  percent. You choose a hash so that clients keep their server, and not for an even load.
- **`rebalance`** closes sessions of the fullest servers with 1012, here at most 20 a minute. Their
  clients come back at once, and to a server that the policy chooses. With `leastConnections` this
  saves little time, since it is quick anyway; sessions that last for days need it more.
"""


def spread_at(runs: list[Run], minute: int) -> float:
    return median(run.spread[minute] for run in runs)


def row(case: Case, runs: list[Run]) -> str:
    """The figures of a case, for the table."""
    figures = [
        f"{spread_at(runs, minute):.0%}" for minute in (10, 30, 60, 120, int(AFTER / MINUTE))
    ]
    minutes = range(int(AFTER / MINUTE) + 1)
    even = next((minute for minute in minutes if spread_at(runs, minute) < EVEN), None)
    reached = "never" if even is None else f"{even} min"
    shed = round(median(run.shed for run in runs))
    return " | ".join([f"| {case.name}", *figures, reached, f"{shed:,} |"])


def main() -> None:
    folder = Path(sys.argv[1])
    runs = {case: [Simulation(case, seed).simulate() for seed in SEEDS] for case in CASES}
    rows = "\n".join(row(case, found) for case, found in runs.items())
    page = PAGE.format(servers=SERVERS, sessions=SESSIONS, even=EVEN, rows=rows)
    (folder / "balancing.md").write_text(page, "utf-8")
    by_name = {case.name: found for case, found in runs.items()}
    lines = [
        Line(short, [spread_at(by_name[name], step) for step in range(241)], "HAProxy" in name)
        for name, short in SHOWN.items()
    ]
    chart = line_chart(
        "After a fourth server was added",
        "how far the fullest server is above its fair share, by hours",
        lines,
        [(hour * int(HOUR / MINUTE), f"{hour}") for hour in range(5)],
        top=0.4,
    )
    (folder / "balancing.svg").write_text(chart, "utf-8")


if __name__ == "__main__":
    main()
