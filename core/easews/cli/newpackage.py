"""The files of a new package with a filter, from the templates in `skeleton`."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterator, Mapping, Set
from importlib import resources
from typing import NamedTuple

import easews

from ..config.schemas import OBJECT_KINDS
from ..filters import API

LONGEST = 40

_is_name = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*").fullmatch
_is_kind = re.compile(r"[A-Z][A-Za-z0-9]*").fullmatch
#: Names in the templates that the filter's class must not have.
_USED = frozenset(("Any", "Mapping", "None", "True", "False", "TestConformance"))
#: Modules of the package's own folder.
_BESIDE = frozenset(("tests", "conftest", "easews"))

SUMMARIES = {
    "messages": "Replaces words in the text messages of clients.",
    "requests": "Lets only requests pass that have one of some values in a header.",
}
_FIELDS = {"messages": "  words: [secret, password]", "requests": '  values: ["1", "2"]'}

#: Where each template goes in the package; the names have the same marks as the contents.
_FILES = {
    "both/pyproject.toml.in": "pyproject.toml",
    "both/README.md.in": "README.md",
    "both/example.yaml.in": "example.yaml",
    "both/gitignore.in": ".gitignore",
    "both/ci.yml.in": ".github/workflows/ci.yml",
    "both/conftest.py.in": "tests/conftest.py",
    "{of}/filter.py.in": "@module@/__init__.py",
    "{of}/schema.json.in": "@module@/schemas/@kind@.json",
    "{of}/test_filter.py.in": "tests/test_@module@.py",
}


class BadName(ValueError):
    """The name cannot be that of a package or a kind; the text says why, and what to write."""


class Package(NamedTuple):
    """A package to be made: its name, its filter's kind, and whether that reads `messages` or
    `requests`.
    """

    name: str
    kind: str
    of: str

    @property
    def module(self) -> str:
        """The name by which it is imported."""
        return self.name.replace("-", "_")

    def files(self, version: str) -> Iterator[tuple[str, str]]:
        """Path and content of each file, for users of this version of easews."""
        for template, path in _FILES.items():
            yield self._filled(path, version), self._filled(_text(template, self.of), version)
        yield f"{self.module}/py.typed", ""

    def _filled(self, text: str, version: str) -> str:
        for mark, value in self._marks(version).items():
            text = text.replace(f"@{mark}@", value)
        return text

    def _marks(self, version: str) -> Mapping[str, str]:
        return {
            "name": self.name,
            "module": self.module,
            "kind": self.kind,
            "api": str(API),
            "summary": SUMMARIES[self.of],
            "fields": _FIELDS[self.of],
            "easews": requirement(version),
        }


def _text(template: str, of: str) -> str:
    folder = resources.files(__package__) / "skeleton"
    return (folder / template.format(of=of)).read_text("utf-8")


def requirement(version: str) -> str:
    """The releases of easews that keep what a filter for `version` uses."""
    major, minor, *_ = map(int, re.findall(r"\d+", version))
    below = f"{major + 1}" if major else f"0.{minor + 1}"  # before 1.0 any minor one may break
    return f"easews>={major}.{minor},<{below}"


def normalized(name: str) -> str:
    """The name of a package as pip compares it with others."""
    return re.sub(r"[-_.]+", "-", name).lower()


def checked_name(name: str, modules: Set[str], packages: Set[str]) -> str:
    """`name`, if it can be that of a package.

    `modules` and `packages` are those that are installed, with normalized names. BadName if it
    cannot.
    """
    if not _is_name(name) or len(name) > LONGEST:
        meant = re.sub(r"[^a-z0-9]+", "-", _hyphened(name).lower()).strip("-0123456789")[:LONGEST]
        hint = f"did you mean {meant}?" if meant and meant != name else "such as my-filter"
        raise BadName(f"{name!r} is no name of a package: lower case, digits and hyphens; {hint}")
    if name in packages:
        wrong = f"the package {name} is installed, and yours would replace it"
        raise BadName(f"{wrong}; choose another name")
    module = name.replace("-", "_")
    reserved = {*_BESIDE, *sys.stdlib_module_names, *keyword.kwlist}
    if module in reserved or module in modules:
        owner = "Python or easews" if module in reserved else "an installed package"
        raise BadName(f"the module {module} is one of {owner}; try easews-{name}")
    return name


def _hyphened(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name)


def kind_for(name: str) -> str:
    """The kind that a package with this name has if nothing else is asked for."""
    words = name.removeprefix("easews-").split("-")
    return "".join(word.capitalize() for word in words)


def checked_kind(kind: str, kinds: Mapping[str, str], name: str) -> str:
    """`kind`, if the package `name` may have it. `kinds` are those of installed packages.

    BadName if it may not.
    """
    if not _is_kind(kind) or len(kind) > LONGEST:
        raise BadName(f"{kind!r} is no name of a kind; name one with --kind, such as MyFilter")
    if kinds.get(kind, name) != name:
        raise BadName(f"the kind {kind} is one of {kinds[kind]}; name another with --kind")
    if kind in OBJECT_KINDS or kind in _USED or kind in easews.__all__:
        raise BadName(f"{kind} means something else in easews; name another with --kind")
    return kind
