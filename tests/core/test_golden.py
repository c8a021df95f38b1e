"""What `validate` tells of broken configs, on a terminal: each text in `golden/` as it is shown.

After a change of words, write the texts anew and read every one that has changed:

    EASEWS_WRITE_GOLDEN=1 scripts/test tests/core/test_golden.py && git diff tests/core/golden
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.ourkinds import OUR_KINDS

from easews import ConfigError
from easews.cli.report import problems_text
from easews.config import Source, from_sources
from easews.config.schemas import OBJECT_KINDS
from easews.plugins import Kinds

GOLDEN = Path(__file__).parent / "golden"
CONFIGS = sorted(GOLDEN.glob("*.yaml"))
WRITE = os.environ.get("EASEWS_WRITE_GOLDEN") == "1"


@pytest.fixture(scope="module")
def kinds() -> Kinds:
    return OUR_KINDS


def told(config: Path, kinds: Kinds) -> str:
    with pytest.raises(ConfigError) as caught:
        from_sources([Source(config.name, config.read_text("utf-8"))], kinds, {})
    known = {*OBJECT_KINDS, *kinds}
    return problems_text(caught.value.problems, width=80, colour=False, kinds=known) + "\n"


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.stem)
def test_a_broken_config_is_told_as_it_was(config: Path, kinds: Kinds) -> None:
    golden = config.with_suffix(".txt")
    text = told(config, kinds)
    if WRITE:
        golden.write_text(text, "utf-8")
    assert text == golden.read_text("utf-8")


def test_there_are_many_and_none_too_many() -> None:
    assert len(CONFIGS) >= 40
    assert {config.stem for config in CONFIGS} == {text.stem for text in GOLDEN.glob("*.txt")}


def test_no_secret_is_shown() -> None:
    shown = [text.name for text in GOLDEN.glob("*.txt") if "aHVudGVy" in text.read_text("utf-8")]
    assert not shown
