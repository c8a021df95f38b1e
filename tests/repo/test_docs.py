"""What a page shows of the sources is as the sources have it."""

from __future__ import annotations

import inspect
import logging
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import reference_pages
from easews import Ending, Filter, Opening, Reads, Route
from easews.filters import HOOKS, ON_ERROR
from easews.observe.accesslog import AccessLog
from easews.observe.formatted import NAMES
from easews.observe.logs import FIELDS
from easews.pipeline.blocking import BLOCKING
from easews.pipeline.hooks import SessionHooks
from easews.pipeline.hooksteps import step_of
from easews.pipeline.messageflow import FAILED
from easews.server.exchange import FLOW_DEADLINE
from easews.testing import OpenSession, make_context

ROOT = Path(__file__).parents[2]
HOOKS_PAGE = (ROOT / "docs" / "reference" / "hooks.md").read_text()
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


def section(title: str) -> str:
    """The part of the page on hooks below this heading."""
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", HOOKS_PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def cells(beginning: str) -> list[str]:
    """The cells of the row on the page on hooks that begins so."""
    (row,) = [line for line in HOOKS_PAGE.splitlines() if line.startswith(f"| {beginning} |")]
    return [cell.strip() for cell in row.strip("|").split("|")]


def signature(hook: str) -> str:
    function = getattr(Filter, hook)
    before = "async def" if inspect.iscoroutinefunction(function) else "def"
    return f"{before} {hook}{inspect.signature(function)}: ...".replace("'", "")


def test_the_page_on_hooks_has_every_hook_in_the_order_of_their_calls() -> None:
    assert re.findall(r"^## `(\w+)`$", HOOKS_PAGE, re.MULTILINE) == [*HOOKS]
    assert re.findall(r"^\| \[`(\w+)`\]", HOOKS_PAGE, re.MULTILINE) == [*HOOKS]


@pytest.mark.parametrize("hook", HOOKS)
def test_the_page_on_hooks_has_the_signatures_of_the_code(hook: str) -> None:
    assert section(f"`{hook}`").startswith(f"\n```python\n{signature(hook)}\n```\n")


@pytest.mark.parametrize("hook", HOOKS)
def test_the_page_on_hooks_says_which_are_plain_functions_and_which_cost_message_mode(
    hook: str,
) -> None:
    _, _, function, _, mode, _ = cells(f"[`{hook}`](#{hook})")
    is_async = inspect.iscoroutinefunction(getattr(Filter, hook))
    step = step_of(with_hook(hook)("it", {}), "it")
    reads = SessionHooks([step]).reads("client") if step else None

    assert function == ("`async def`" if is_async else "either")
    assert mode == ("no" if reads is None else "yes")


def with_hook(hook: str) -> type[Filter]:
    def own(self: Filter, *_: Any) -> None: ...

    return type("Own", (Filter,), {hook: own, "kind": "Own"})


@pytest.mark.parametrize("field", fields(Reads), ids=lambda field: field.name)
def test_the_page_on_hooks_has_the_fields_of_reads_with_their_defaults(field: Any) -> None:
    assert cells(f"`{field.name}`")[1] == f"`{field.default!r}`"


def test_the_page_on_hooks_has_what_on_error_may_say() -> None:
    names = re.findall(r"^\| `(\w+)`(?:, the default)? \|", section("`on_message`"), re.MULTILINE)
    assert [name for name in names if name in ON_ERROR] == [*ON_ERROR]
    assert f"Close {FAILED.code}" in section("`on_message`")


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("`handle`", f"{FLOW_DEADLINE:g} seconds for all filters"),
        ("`on_answer`", f"{FLOW_DEADLINE:g} seconds for all filters"),
        ("`on_open`", f"{Filter.hook_timeout:g} seconds, then it counts as raised"),
        ("`on_tick`", f"which are {Filter.tick:g} unless"),
        ("What every hook has to obey", f"more than {BLOCKING * 1000:g} ms"),
    ],
)
def test_the_page_on_hooks_has_the_times_of_the_code(title: str, text: str) -> None:
    assert text in section(title)
