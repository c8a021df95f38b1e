"""`easews new`: a package with a filter, and with its tests."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from ..plugins import discover
from .newpackage import BadName, Package, checked_kind, checked_name, kind_for, normalized
from .report import BOLD, details, has_colour, painted, say, width_of

_NEXT = (
    ("pip install -e '.[dev]'", "install it, and what its tests need"),
    ("pytest", "run its tests"),
    ("easews run example.yaml", "serve it in front of ws://127.0.0.1:9000"),
)


def new(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The package, such as my-filter.", show_default=False),
    ],
    kind: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="The filter's kind.  [default: MyFilter for my-filter]"),
    ] = None,
    messages: Annotated[
        bool,
        typer.Option(
            "--messages/--requests", help="A filter of a session's messages, or of requests."
        ),
    ] = True,
    directory: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to write it.  [default: NAME]"),
    ] = None,
) -> None:
    """Write a package with a filter that works, its tests, and what a package needs.

    It is installed with pip, and then its kind can be used in configs. Its tests, mypy --strict
    and ruff pass; change one thing after the other.
    """
    package = Package(*_checked(name, kind), "messages" if messages else "requests")
    folder = directory or Path(name)
    _write(folder, package)
    colour = has_colour(sys.stdout)
    title = painted(f"{folder}/", BOLD, colour)
    say(f"{title} has the package {package.name} with the filter {package.kind}. Next:\n")
    say(details([(f"cd {folder}", "go to it"), *_NEXT], width_of(sys.stdout), colour=colour))
    file = folder / package.module / "__init__.py"
    say(f"\nThe filter is in {file}. No license is chosen: see README.md.")


def _checked(name: str, kind: str | None) -> tuple[str, str]:
    modules = {*metadata.packages_distributions()}
    packages = {normalized(found.metadata["Name"]) for found in metadata.distributions()}
    kinds = {it.name: it.distribution for it in discover().values()}
    try:
        checked_name(name, modules, packages)
    except BadName as error:
        raise typer.BadParameter(str(error), param_hint="NAME") from None
    try:
        return name, checked_kind(kind or kind_for(name), kinds, name)
    except BadName as error:
        raise typer.BadParameter(str(error), param_hint="--kind") from None


def _write(folder: Path, package: Package) -> None:
    """Write its files. Nothing that is there is overwritten."""
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            wrong = f"{folder} is not empty; name another folder with --directory"
            raise typer.BadParameter(wrong, param_hint="--directory")
        for path, content in package.files(metadata.version("easews")):
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, "utf-8")
    except OSError as error:
        wrong = f"{error.filename or folder} cannot be written: {error.strerror}"
        raise typer.BadParameter(wrong, param_hint="--directory") from None
