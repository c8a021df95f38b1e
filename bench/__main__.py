"""The command: `bench/run` or, where everything is installed already, `python -m bench`."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from .against import NOW, Commit, able, build, find_commit
from .compare import Row, compare, confirmed
from .loads import GROUPS, LOADS, Ability, Load
from .measure import cores, machine
from .procedures import Effort
from .report import as_json, report
from .rounds import Ports, Sample, measure_all, taking_part
from .subjects import SUBJECTS, Subject, missing_distributions, version
from .tools import BenchError, build_tools, make_certificate, refuse_taken

DEFAULT_SUBJECTS = "nginx,easews"
#: Descriptors that a proxy needs for 5,500 sessions, and some to spare.
DESCRIPTORS = 11_500

Named = TypeVar("Named", Load, Subject)

EPILOG = """\
examples:
  bench/run                                      easews beside nginx, loads of ws, 5 to 9 minutes
  bench/run --quick --loads 64x125,idle          a first look
  bench/run --loads tls,http                     the same over TLS, and plain HTTP, 7 minutes
  bench/run --subjects all --json figures.json   everybody, some 35 minutes
  bench/run --against HEAD~1                     is any row worse than there? 10 minutes
"""


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    effort = Effort(rounds=3, seconds=0.5, warm_up=0.2, churned=500) if options.quick else Effort()
    if options.rounds:
        effort = replace(effort, rounds=options.rounds)
    ports = Ports(*options.ports) if options.ports else Ports()
    try:
        commit = find_commit(options.against) if options.against else None
        if commit and NOW not in options.subjects:
            raise BenchError(f"--against compares a commit with {NOW.name}: name it in --subjects")
        needs = {load.needs for load in options.loads}
        _prepare(options.subjects, needs, ports)
        before = able(build(commit), needs) if commit else None
        subjects = (*options.subjects, before) if before else options.subjects
        _introduce(subjects, commit, effort)
        samples = _measure(subjects, options.loads, effort, ports)
        rows = list(_compare(samples, before, options.loads, effort, ports)) if before else []
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    for part in report(samples, options.loads, subjects, rows):
        print(part, end="\n\n")
    if options.json:
        whole = as_json(samples, effort, machine(), _versions(subjects))
        options.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    worse = any(row.verdict == "WORSE" for row in rows)
    return 1 if worse or any(sample.failure for sample in samples) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/run",
        description="Measure what a proxy's WebSocket relay costs, beside other proxies.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="short measurements, 3 rounds")
    parser.add_argument(
        "--against",
        metavar="COMMIT",
        help="build that commit, measure it beside this folder, and tell which rows are worse",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="5 unless told")
    parser.add_argument(
        "--loads",
        type=_chooser("load", LOADS, GROUPS),
        default="ws",
        metavar="NAME,…",
        help=f"{', '.join(GROUPS)} (ws), or some of {', '.join(load.name for load in LOADS)}",
    )
    parser.add_argument(
        "--subjects",
        type=_chooser("subject", SUBJECTS, {"all": SUBJECTS}),
        default=DEFAULT_SUBJECTS,
        metavar="NAME,…",
        help=f"all, or some of {', '.join(s.name for s in SUBJECTS)} ({DEFAULT_SUBJECTS})",
    )
    parser.add_argument(
        "--ports",
        type=int,
        nargs=2,
        metavar=("PROXY", "BACKEND"),
        help="listen there, rather than where the kernel says; refused when taken",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser


def _chooser(
    what: str, known: tuple[Named, ...], groups: Mapping[str, tuple[Named, ...]]
) -> Callable[[str], tuple[Named, ...]]:
    by_name = {**{one.name: (one,) for one in known}, **groups}

    def choose(text: str) -> tuple[Named, ...]:
        chosen: dict[str, Named] = {}
        for name in text.split(","):
            if name not in by_name:
                raise argparse.ArgumentTypeError(
                    f"no {what} is called {name!r}; there are {', '.join(by_name)}"
                )
            chosen.update({one.name: one for one in by_name[name]})
        return tuple(chosen.values())

    return choose


def _prepare(subjects: Sequence[Subject], needs: Collection[Ability], ports: Ports) -> None:
    """Everything that can be refused before the first measurement."""
    for port, who in ((ports.proxy, "the proxy"), (ports.backend, "the backend")):
        if port is not None:
            refuse_taken(port, who)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        raise BenchError(
            f"at most {hard} open files are allowed (ulimit -Hn); {DESCRIPTORS} needed"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    build_tools(needs)
    if "tls" in needs:
        make_certificate()
    _install(missing_distributions(subjects))


def _install(distributions: Sequence[str]) -> None:
    if not distributions:
        return
    if sys.prefix == sys.base_prefix:
        raise BenchError(f"not installed: {', '.join(distributions)}; bench/run installs them")
    print(f"Installing {', '.join(distributions)} ...", file=sys.stderr)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*pip, *distributions]).returncode:
        raise BenchError("pip could not install; its message is above")


def _versions(subjects: Sequence[Subject]) -> dict[str, str]:
    names = sorted({name for subject in subjects for name in subject.distributions})
    return {name: version(name) or "not installed" for name in names}


def _introduce(subjects: Sequence[Subject], commit: Commit | None, effort: Effort) -> None:
    proxy_core, load_core = cores()
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, Linux {about['kernel']}")
    print(", ".join(f"{name} {version}" for name, version in _versions(subjects).items()))
    if commit:
        print(f"before: {commit}")
    print(f"the proxy on core {proxy_core}, load and backend on core {load_core}; ", end="")
    print(f"{effort.rounds} rounds\n", flush=True)
    if proxy_core == load_core:
        print("bench: only one core: latencies will mean little", file=sys.stderr)


def _measure(
    subjects: Sequence[Subject],
    loads: Sequence[Load],
    effort: Effort,
    ports: Ports,
    first: int = 1,
) -> list[Sample]:
    total = effort.rounds * sum(len(taking_part(subjects, load)) for load in loads)
    started = 0

    def progress(number: int, load: Load, subject: Subject) -> None:
        nonlocal started
        started += 1
        _show(f"[{started}/{total}] round {number}: {load.title}: {subject.name}")

    samples = list(measure_all(subjects, loads, effort, ports, progress, first))
    _show("")
    return samples


def _compare(
    samples: list[Sample], before: Subject, loads: Sequence[Load], effort: Effort, ports: Ports
) -> Iterator[Row]:
    """The rows now and before. What seems different is measured again, and joins `samples`."""
    rows = [
        compare(samples, load, before.name, NOW.name)
        if load.needs in before.does
        else Row(load, verdict="new")
        for load in loads
    ]
    doubtful = [row.load for row in rows if row.verdict in ("WORSE", "better")]
    again: list[Sample] = []
    if doubtful:
        _show(f"These seem different: {', '.join(load.name for load in doubtful)}. Once more.")
        more = replace(effort, rounds=2 * effort.rounds)
        again = _measure((NOW, before), doubtful, more, ports, first=effort.rounds + 1)
        samples += again
    for row in rows:
        second = compare(again, row.load, before.name, NOW.name)
        yield confirmed(row, second) if row.load in doubtful else row


def _show(line: str) -> None:
    """Progress, on the terminal only: over the line before."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
    elif line:
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
