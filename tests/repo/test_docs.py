"""Files that a page shows are shown as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRITE_A_FILTER = ROOT / "docs" / "how-to" / "write-a-filter.md"
THIRD_PARTY = ROOT / "tests" / "e2e" / "third_party"

_block = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    "name",
    ["pyproject.toml", "easews_tenant/__init__.py", "tests/test_tenant.py", "gateway.yaml"],
)
def test_the_page_on_filters_shows_the_package_that_is_tested(name: str) -> None:
    blocks = _block.findall(WRITE_A_FILTER.read_text())

    assert (THIRD_PARTY / name).read_text() in blocks


def test_the_page_on_filters_shows_every_file_of_the_package() -> None:
    page = WRITE_A_FILTER.read_text()
    files = [path for path in THIRD_PARTY.rglob("*") if path.is_file() and path.stat().st_size]

    assert not [path for path in files if path.suffix != ".pyc" and path.name not in page]
