"""`python -m bench.page FIGURES.json ... FOLDER`: charts of runs, and the page that shows them.

Writes FOLDER/performance.md and FOLDER/performance/*.svg. Each FIGURES.json is what `--json` wrote:
first the run with the loads of `ws`, then, if there are any, that with those of `tls` and `http`,
that with those of `messages`, and that with those of `workers`.
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
#: What was written by hand: where the time goes.
RESULTS = Path(__file__).parent / "results"
BY_HAND = (RESULTS / "tls-http.md", RESULTS / "churn-profile.md")

INTRODUCTION = """\
# Benchmarks

<!-- Written by `python -m bench.page`. Change that, or run the benchmark anew. -->

![64 sessions echo 125 B](performance/64x125.svg)

easews checks every WebSocket frame, and relays a small message for about the CPU time of nginx,
which checks none. An idle session takes an eighth of nginx's memory. Opening and closing a session
takes about four times as much CPU time as nginx.
"""

METHOD = """\
## What was measured

One run of `bench/run`. Each proxy had one worker, pinned to one core; load generator and echo
backend shared the other one. All figures are medians of the rounds, and less is better in all
charts. An echo is two relayed messages. The method, the configs and the meaning of each figure are
in `bench/README.md` of the repository.
"""

TLS_HTTP_METHOD = """\
## Over TLS, and HTTP requests

Another run of `bench/run`, with `--loads tls,http`. Clients speak TLS 1.3 with AES-128-GCM to the
proxy, which has a P-256 key; behind it sessions are as before. HTTP requests come over 64
connections that are kept alive on both sides.
"""

MESSAGES_METHOD = """\
## A look at each message

Another run of `bench/run`, with `--loads messages`. A filter of easews sees each message as text,
and changes none. The proxies on aiohttp and `websockets`, on uvloop, do the same.
"""

WORKERS_METHOD = """\
## Two workers

Another run of `bench/run`, with `--loads workers`: two workers of each proxy, on both cores,
together with load generator and backend. So a proxy that takes less time leaves more to those.
"""

#: Before each run.
METHODS = (METHOD, TLS_HTTP_METHOD, MESSAGES_METHOD, WORKERS_METHOD)

LIMITS = """\
## Limits

**Opening and closing a session** cost nearly four times as much as with nginx in this run, and 15
to 35 % more than with Traefik and Caddy. The section below says what was done about it since, and
where the time goes. Sessions that live for seconds do not notice. A service whose clients open a
session for each request should keep sessions open instead.

**Echoes of 4 KiB** cost as much as with nginx, a few per cent more or less from run to run: for
both, most of the time is copying in the kernel.

**The 99th percentiles** of easews and nginx differ by less than those of two runs on a shared
machine.

**Without a C compiler** at installation the inner loop is Python, which takes about twice as much
CPU time for a small message.
"""


def write_page(runs: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write the page and its charts. A run is what `report.as_json` has made."""
    pictures = folder / "performance"
    pictures.mkdir(parents=True, exist_ok=True)
    by_hand = ["#" + file.read_text(encoding="utf-8") for file in BY_HAND]  # one level down
    parts = [INTRODUCTION]
    for method, run in zip(METHODS, runs, strict=False):
        parts += [method, *_about(run), *_shown(run, pictures)]
    text = "\n".join([*parts, LIMITS, *by_hand])
    (folder / "performance.md").write_text(text, encoding="utf-8")


def _shown(run: Mapping[str, Any], pictures: Path) -> Iterator[str]:
    """The sections of a run, whose charts are written."""
    samples = [Sample(**sample) for sample in run["samples"]]
    took_part = {sample.subject for sample in samples if sample.figures}
    subjects = [subject for subject in SUBJECTS if subject.name in took_part]
    loads = [load for load in LOADS if any(s.load == load.name and s.figures for s in samples)]
    for load in loads:
        chart = bar_chart(load.title, FIGURES[load.kind][0].heading, _bars(samples, load, subjects))
        (pictures / f"{load.name}.svg").write_text(chart, encoding="utf-8")
    yield from _sections(samples, loads, subjects)


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
    *files, target = sys.argv[1:] or sys.exit(__doc__)
    write_page([json.loads(Path(file).read_text(encoding="utf-8")) for file in files], Path(target))
