"""The figures in the README are those of the benchmark run that the repository has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
RUN = json.loads((ROOT / "bench" / "results" / "0.1.0.json").read_text())
#: How a row of the table begins, and the load and the figure that it shows.
ROWS = {
    "CPU µs to relay an echo of 125 bytes": ("64x125", "cpu_us"),
    "CPU µs to relay an echo of 1 MiB": ("8x1m", "cpu_us"),
    "KiB of memory for an idle session": ("idle", "kib"),
    "CPU µs to open and close a session": ("churn-close", "cpu_us"),
}


def cells(beginning: str) -> list[str]:
    """The cells of the row that begins so, without emphasis."""
    rows = (ROOT / "README.md").read_text().replace("**", "").splitlines()
    (row,) = [row for row in rows if row.startswith(beginning)]
    return [cell.strip() for cell in row.strip("|").split("|")]


@pytest.mark.parametrize("title", ROWS)
def test_the_readme_shows_the_figures_of_the_run(title: str) -> None:
    load, figure = ROWS[title]
    names = [name.lower() for name in cells("| | easews | nginx")[1:]]
    for name, shown in zip(names, cells(f"| {title}")[1:], strict=True):
        taken = [
            sample["figures"][figure]
            for sample in RUN["samples"]
            if (sample["load"], sample["subject"]) == (load, name)
        ]
        digits = len(re.sub(r"^\d+\.?", "", shown))
        assert shown == f"{median(taken):.{digits}f}", name
