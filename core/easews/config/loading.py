"""`load`: all of this package in order. It either returns a Config or tells every fault."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from ..errors import ConfigError, Problem
from ..plugins import Kinds
from .build import build
from .checks import check_document
from .crossrefs import check_crossrefs
from .documents import Document, unread
from .excerpts import with_excerpts
from .model import Config
from .reader import read_documents
from .shadows import check_shadows
from .sources import Source, read_sources


def load(paths: Sequence[str], kinds: Kinds, environ: Mapping[str, str] = os.environ) -> Config:
    """The config in these files and folders; ``-`` is the standard input.

    ConfigError with every problem, in the order of the files, when it cannot be used.
    """
    return from_sources(read_sources(paths), kinds, environ)


def from_sources(
    sources: Iterable[Source | Problem], kinds: Kinds, environ: Mapping[str, str]
) -> Config:
    """As `load`, from texts. A Problem among them is one of a file that cannot be read."""
    documents: list[Document] = []
    problems: list[Problem] = []
    files: list[str] = []
    texts: list[Source] = []
    for source in sources:
        if isinstance(source, Problem):
            files.append(source.file)
            problems.append(source)
            documents.append(unread(source.file))
            continue
        files.append(source.name)
        texts.append(source)
        found, faults = read_documents(source, environ)
        documents += found
        problems += faults
    if not documents and not problems:
        wrong, accepted = "there is no object in it", "`easews init` writes a first one"
        problems = [Problem(name, 1, 1, "", wrong, accepted) for name in files]
    checked = [check_document(document, kinds) for document in documents]
    problems += [problem for it in checked for problem in it.problems]
    problems += check_crossrefs([it.reliable for it in checked], kinds)
    for it in checked:
        problems += check_shadows(it)
    if problems:
        shown = with_excerpts(problems, texts, documents, kinds)
        raise ConfigError(_in_order(shown, files))
    return build(checked, kinds)


def _in_order(problems: Iterable[Problem], files: Sequence[str]) -> list[Problem]:
    """Each problem once, as the files and their lines stand.

    What is anchored is checked wherever an alias puts it, and told once.
    """
    rank = {name: number for number, name in reversed(list(enumerate(files)))}
    ordered = sorted(problems, key=lambda at: (rank[at.file], at.line, at.column, at.path))
    spots = {(at.file, at.line, at.column, at.wrong): at for at in reversed(ordered)}
    return [*reversed(spots.values())]
