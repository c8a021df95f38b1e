"""A config as commands read it: what is wrong with it, and with plugins that it does not use."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import TextIO

from ..config import Config, load
from ..config.schemas import OBJECT_KINDS
from ..errors import ConfigError, Problem
from ..plugins import Kinds
from .progress import Progress
from .report import complain_of_broken, has_colour, problems_text, width_of


def read(files: list[str], kinds: Kinds) -> Config:
    """The config in these files; a broken plugin that it does not use is a warning.

    ConfigError when it cannot be used.
    """
    told: tuple[Problem, ...] = ()
    try:
        # What is typed at standard input stands where the progress would be shown.
        with nullcontext() if "-" in files else Progress(f"reading {', '.join(files)}"):
            return load(files, kinds)
    except ConfigError as error:
        told = error.problems
        raise
    finally:
        complain_of_broken(kinds.broken, told)


def report(problems: tuple[Problem, ...], stream: TextIO, kinds: Iterable[str]) -> str:
    """The problems as they are shown on this stream."""
    known = {*OBJECT_KINDS, *kinds}
    return problems_text(problems, width=width_of(stream), colour=has_colour(stream), kinds=known)
