"""What a page shows of the sources is as the sources have it."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

import reference_pages
from easews import Ending, Opening, Route
from easews.observe.accesslog import AccessLog
from easews.observe.formatted import NAMES
from easews.observe.logs import FIELDS
from easews.testing import OpenSession, make_context

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


def test_the_pages_made_from_the_sources_are_not_stale() -> None:
    made = dict(reference_pages.pages())
    folder = ROOT / "docs" / "reference"

    kinds = {f"kinds/{page.name}" for page in folder.glob("kinds/*")}
    assert kinds == {name for name in made if name.startswith("kinds/")}
    stale = [name for name, text in made.items() if (folder / name).read_text("utf-8") != text]
    assert not stale, "run: python scripts/reference_pages.py"


def test_the_page_on_the_log_has_every_field(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "easews.access")
    route = Route("demo-server", "/ws", "chat")
    session = OpenSession(Opening("1", "127.0.0.1", route, "ws://127.0.0.1:12345", 0.1))

    AccessLog().request(make_context(), 200, 0, 0.1)
    AccessLog().session_ended(session, Ending("client", 1000, "closed", 1.0))

    page = (ROOT / "docs" / "reference" / "log.md").read_text()
    fields = [name for record in caplog.records for name in getattr(record, FIELDS)]
    assert len(caplog.records) == 2
    assert not [name for name in fields if f"`{name}`" not in page]


def test_the_page_on_templates_has_every_name() -> None:
    page = (ROOT / "docs" / "reference" / "templates.md").read_text()
    assert not [name for name in NAMES.plain if f"`{name}`" not in page]
    assert not [name for name in NAMES.with_argument if f"`{name}." not in page]
