"""The simulation of a scale-out: what it says of policies whose behaviour is known."""

from __future__ import annotations

import pytest
from bench import simulation
from bench.balancing import row
from bench.linechart import Line, line_chart
from bench.simulation import CASES, HOUR, Case, Simulation


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "SESSIONS", 200)
    monkeypatch.setattr(simulation, "BEFORE", 2 * HOUR)
    monkeypatch.setattr(simulation, "AFTER", 2 * HOUR)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_new_server_has_nothing_at_first_and_everybody_ends(case: Case) -> None:
    run = Simulation(case, seed=7).simulate()
    assert run.spread[0] >= 0.3
    assert run.spread[-1] < 0.3
    assert (run.shed > 0) is (case.per_minute > 0)


def test_the_least_busy_server_catches_up_as_fast_as_sessions_come() -> None:
    spreads = {case.name: Simulation(case).simulate().spread for case in CASES}
    least = next(minute for minute, value in enumerate(spreads["leastConnections"]) if value < 0.1)
    others = (spreads["roundRobin"], spreads["random"])
    assert all(spread[least] > 0.1 for spread in others)


def test_a_row_has_the_figures_of_the_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.balancing.AFTER", 2 * HOUR)
    run = simulation.Run([0.5] * 60 + [0.05] * 61, shed=7)
    assert row(CASES[0], [run]) == "| roundRobin | 50% | 50% | 5% | 5% | 5% | 60 min | 7 |"


def test_a_chart_has_a_line_for_each() -> None:
    chart = line_chart("t", "u", [Line("a", [0.0, 1.0]), Line("b", [1.0, 0.0])], [(0, "0")], 1.0)
    assert chart.count("<polyline") == 2
