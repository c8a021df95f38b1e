"""What several commands have in common: arguments, choices, the end of a help, exit statuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ..config.phrases import listed
from ..config.schemas import OBJECT_KINDS
from ..plugins import Kinds, discover
from ..spelling import did_you_mean
from .report import complain

PROBLEMS, USAGE = 1, 2
#: How a report or a log is written.
FORMATS = ("text", "json")


def epilog(status: str, *examples: str, usage: str = "2 for a wrong command line") -> str:
    """What stands below the help of a command: how it is used, and its exit status."""
    # \b keeps the lines of a paragraph as they are.
    indented = "\n".join(f"  {example}" for example in examples)
    return f"\b\nExamples:\n{indented}\n\nExit status: {status}, {usage}."


def choice(values: Sequence[str], help: str) -> Any:
    """An option that takes one of a few values: what it refuses, and what a shell completes to."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in values:
            hint = did_you_mean(value, values) or f"choose one of {listed(values)}"
            raise typer.BadParameter(f"{value!r} is none of its values; {hint}")
        return value

    def complete(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return typer.Option(
        metavar="|".join(values), help=help, callback=check, autocompletion=complete
    )


Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE",
        help="YAML files, folders (every *.yaml and *.yml in them), or - for standard input.",
        show_default=False,
    ),
]


#: For the commands whose answer is data.
Json = Annotated[bool, typer.Option("--json", help="Print it as JSON, for machines.")]


def _names(incomplete: str) -> list[str]:
    """The kinds that a shell may complete `incomplete` to."""
    return [name for name in (*OBJECT_KINDS, *discover()) if name.startswith(incomplete)]


KindName = Annotated[
    str | None,
    typer.Argument(
        metavar="KIND",
        help="A kind that `easews kinds` lists.",
        show_default=False,
        autocompletion=_names,
    ),
]


def check_kind(kind: str, kinds: Kinds) -> None:
    """Exit with what there is instead when there is no such kind."""
    names = [*OBJECT_KINDS, *kinds]
    if kind not in names:
        hint = did_you_mean(kind, names) or f"there are: {listed(names)}"
        complain(f"no kind {kind!r} is installed; {hint}")
        raise typer.Exit(USAGE)
