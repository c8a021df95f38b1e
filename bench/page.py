"""`python -m bench.page FIGURES.json FOLDER`: charts of a run, and the page that shows them.

Writes FOLDER/performance.md and FOLDER/performance/*.svg. FIGURES.json is what `--json` wrote.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from .charts import Bar, bar_chart
from .loads import FIGURES, LOADS, Load
from .rounds import Sample
from .subjects import SUBJECTS, Subject
from .summary import by_round, table_rows

OURS = "easews"

INTRODUCTION = """\
# What the relay costs

<!-- Written by `python -m bench.page`. Change that, or run the benchmark anew. -->

After its handshake a WebSocket session is bytes that go from one socket to another. easews looks
at every frame on the way, and still aims at the cost of a proxy that does not look. These are the
figures of one run of `bench/run`, in which each proxy had one worker on one core; less is better
in all charts. The method, the configs and what each figure means are in
`bench/README.md` of the repository.
"""

LIMITS = """\
## Where it falls short, and why

**Opening and closing a session** costs nearly four times what it costs nginx, and some 15 % more
than Traefik and Caddy. A sampling profile of it is flat: 40 % of the time is in the engine and
17 % in the filter and its relay, where heads are read, judged and written in Python, 26 % in system
calls and the socket objects around them, 9 % in the event loop and anyio, 8 % in the two log
lines. Half of what it once cost is gone: raw sockets in place of streams, a task that serves one
connection after the other, time limits that are only set when there is something to wait for, a
turn for the others before that, header fields looked up in an index, log lines written many at a
time, garbage collected less often. What is left is some 13,000 steps of the interpreter; only
less Python would shorten it. Sessions that live for seconds do not notice; a service whose
clients open one for each request should keep them open.

**Echoes of 4 KiB** cost what they cost nginx, a few per cent above or below from run to run: the
copies in the kernel are most of it for both.

**The 99th percentiles** of two runs on a shared machine differ by more than those of nginx and
easews: with 4 KiB and with 2,000 sessions now the one is lower, now the other.

Without a C compiler at installation the inner loop is Python, which costs about twice as much for
each small message.
"""


def write_page(run: Mapping[str, Any], folder: Path) -> None:
    """Write the page and its charts. `run` is what `report.as_json` has made."""
    samples = [Sample(**sample) for sample in run["samples"]]
    took_part = {sample.subject for sample in samples if sample.figures}
    subjects = [subject for subject in SUBJECTS if subject.name in took_part]
    loads = [load for load in LOADS if any(s.load == load.name and s.figures for s in samples)]
    pictures = folder / "performance"
    pictures.mkdir(parents=True, exist_ok=True)
    for load in loads:
        chart = bar_chart(load.title, FIGURES[load.kind][0].heading, _bars(samples, load, subjects))
        (pictures / f"{load.name}.svg").write_text(chart, encoding="utf-8")
    parts = [INTRODUCTION, *_about(run), *_sections(samples, loads, subjects), LIMITS]
    text = "\n".join(parts)
    (folder / "performance.md").write_text(text, encoding="utf-8")


def _bars(samples: Sequence[Sample], load: Load, subjects: Sequence[Subject]) -> list[Bar]:
    figure = FIGURES[load.kind][0]
    bars = []
    for subject in subjects:
        taken = by_round(samples, load, subject.name, figure.key).values()
        if taken:
            middle = median(taken)
            ours = subject.name.startswith(OURS)
            label = format(middle, figure.form)
            bars.append(Bar(subject.name, middle, label, min(taken), max(taken), ours))
    return bars


def _about(run: Mapping[str, Any]) -> Iterator[str]:
    machine, versions, effort = run["machine"], run["versions"], run["effort"]
    yield f"- Machine: {machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}"
    yield f"- Python {machine['python']}"
    yield f"- {', '.join(f'{name} {number}' for name, number in versions.items())}"
    yield f"- {effort['rounds']} rounds; each measurement of echoes takes {effort['seconds']:g} s"
    yield ""


def _sections(
    samples: Sequence[Sample], loads: Sequence[Load], subjects: Sequence[Subject]
) -> Iterator[str]:
    for load in loads:
        yield f"## {load.title}\n"
        yield f"![{load.title}](performance/{load.name}.svg)\n"
        head, *rows = table_rows(samples, load, subjects)
        yield f"| {' | '.join(head)} |"
        yield f"|---{'|--:' * (len(head) - 1)}|"
        for row in rows:
            yield f"| {' | '.join(row)} |"
        yield ""


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    write_page(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
