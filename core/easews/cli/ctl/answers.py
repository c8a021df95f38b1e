"""The gateway that a command asks, and what it answered, printed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..options import PROBLEMS
from ..report import complain, say, say_json
from .address import endpoint_of

if TYPE_CHECKING:
    from .asking import Admin


@contextmanager
def gateway_at(address: str, token_file: Path | None) -> Iterator[Admin]:
    """The gateway to ask. What goes wrong is told on standard error, with exit status 1."""
    from .asking import Admin, NoAnswer, token_from  # httpcore, which only these commands need

    try:
        endpoint = endpoint_of(address)
    except ValueError as error:
        raise typer.BadParameter(f"{address!r}: {error.args[0]}", param_hint="--admin") from None
    try:
        admin = Admin(endpoint, token_from(token_file))
        try:
            yield admin
        finally:
            admin.close()
    except NoAnswer as error:
        complain(str(error))
        raise typer.Exit(PROBLEMS) from None


def show(value: object, as_json: bool, text: Callable[[], str]) -> None:
    """Print what was answered, as JSON or as text. Another version may answer otherwise."""
    if as_json:
        say_json(value)
        return
    _say_as_known(text)


def show_line(value: Any, as_json: bool, text: Callable[[Any], str]) -> None:
    """Print one of many values, in one line."""
    if as_json:
        say(json.dumps(value))
        return
    _say_as_known(lambda: text(value))


def _say_as_known(text: Callable[[], str]) -> None:
    try:
        say(text())
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        complain(
            f"the gateway does not answer as this version does ({error!r}); see it with --json"
        )
        raise typer.Exit(PROBLEMS) from None
