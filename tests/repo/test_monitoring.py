"""The dashboard and the alerts in deploy/ name what there is to be named."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.core.test_metrics import measured, scrape
from tests.repo.pages import ROOT

from easews.observe.metrics.catalogue import METERS

RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"
TESTS = ROOT / "deploy" / "prometheus" / "alerts.test.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "easews.json"
MONITOR = ROOT / "docs" / "how-to" / "monitor.md"

#: What Prometheus adds to every series, and we to some: buckets, and the process among several.
ADDED = {"job", "instance", "le", "worker"}
_selector = re.compile(r"\b(easews_\w+)(?:\{([^}]*)\})?")
_matcher = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> Iterator[str]:
    """All that is asked of Prometheus."""
    yield from (rule["expr"] for rule in alerts())
    yield from (target["expr"] for panel in panels() for target in panel.get("targets", ()))
    for variable in json.loads(DASHBOARD.read_text())["templating"]["list"]:
        yield variable.get("definition", "")


def labels_of(name: str) -> set[str]:
    """The labels of a sample with this name."""
    suffixes = "(|_total|_info|_bucket|_g?count|_g?sum)"
    (meter,) = (it for it in METERS if re.fullmatch(it.name + suffixes, name))
    return {*meter.labels}


async def test_every_metric_that_is_asked_for_is_in_a_scrape() -> None:
    async with measured() as (metrics, _):
        there = (await scrape(metrics)).names
    asked = {name for text in expressions() for name, _ in _selector.findall(text)}
    assert len(asked) > 20
    assert asked <= there


def test_every_label_that_is_asked_for_is_one_of_its_metric() -> None:
    for text in expressions():
        for name, matchers in _selector.findall(text):
            assert {*_matcher.findall(matchers)} <= labels_of(name) | ADDED, text


def test_the_dashboard_shows_every_metric() -> None:
    asked = " ".join(expressions())
    missing = [meter.name for meter in METERS if not re.search(rf"\b{meter.name}(_|\b)", asked)]
    assert missing == ["easews_process_start_time_seconds"]


def test_the_panels_of_the_dashboard_have_places_of_their_own() -> None:
    assert len({panel["id"] for panel in panels()}) == len(panels())
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels()
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert all(x < 24 for x, _ in cells)


def test_every_alert_is_explained_and_has_a_test() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert re.findall(r"^### (Easews\w+)$", MONITOR.read_text(), re.MULTILINE) == names
    tested = {
        case["alertname"]
        for test in yaml.safe_load(TESTS.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert tested == set(names)


def run(promtool: str, *arguments: str, folder: Path = RULES.parent) -> None:
    done = subprocess.run(
        [promtool, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_are_raised_when_they_should_be(promtool: str) -> None:
    run(promtool, "check", "rules", RULES.name)
    run(promtool, "test", "rules", TESTS.name)


def test_prometheus_understands_what_the_dashboard_asks(promtool: str, tmp_path: Path) -> None:
    asked = [
        target["expr"].replace("$__rate_interval", "1m").replace("$", "")
        for panel in panels()
        for target in panel.get("targets", ())
    ]
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(asked)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    run(promtool, "check", "rules", str(file), folder=tmp_path)


@pytest.mark.parametrize("text", ["easews_sessions_opn", "easews_sessions_open{path='x'}"])
def test_a_slip_is_found(text: str) -> None:
    ((name, matchers),) = _selector.findall(text)
    with pytest.raises((ValueError, AssertionError)):
        assert {*_matcher.findall(matchers)} <= labels_of(name) | ADDED
