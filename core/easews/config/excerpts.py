"""The line that a problem stands in, as the file has it, but for its secrets.

Variables are shown by their names, because that is how they are written. The literal value of
a writeOnly field is masked, and what a URL has of user, password and query; so is what no schema
describes, because nobody knows what it is: the fields of a filter that is not installed, and a key
that looks like a slip of a secret's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ..errors import Problem
from ..plugins import Kinds
from ..schema import Schema, all_within, is_write_only, known_keys
from ..spelling import nearest
from .documents import MASK, Document, Path, Place, without_url_secrets
from .schemas import OBJECT_KINDS, kind_schema, schema_around
from .sources import Source

#: What every object and filter has, and what is no secret without a schema, either.
_PUBLIC = (("kind",), ("name",))
#: Lower than for a hint: what is masked without need does less harm than what is not.
_ALIKE = 0.6
_LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # YAML 1.1's, which PyYAML counts


def with_excerpts(
    problems: Iterable[Problem],
    sources: Iterable[Source],
    documents: Sequence[Document],
    kinds: Kinds,
) -> Iterator[Problem]:
    """The same problems, each with its excerpt, but for those of a whole file."""
    told = list(problems)
    texts = {source.name: source.text for source in sources}
    for file in dict.fromkeys(problem.file for problem in told):
        here = [problem for problem in told if problem.file == file]
        own = [document for document in documents if document.file == file]
        yield from _of_file(here, texts.get(file, ""), own, kinds)


def _of_file(
    problems: Sequence[Problem], text: str, documents: Sequence[Document], kinds: Kinds
) -> Iterator[Problem]:
    lines = _LINE_END.split(text)
    wanted = {problem.line for problem in problems if problem.end_line}
    urls = [place for document in documents for place in _urls(document)]
    places = [place for document in documents for place in _secrets(document, kinds, wanted)]
    shown = {
        number: _masked(_without_urls_secrets(lines[number - 1], number, urls), number, places)
        for number in wanted
        if number <= len(lines)
    }
    for problem in problems:
        excerpt = shown.get(problem.line, "")
        if not problem.path:  # no document was made of this line: its words have to tell
            excerpt = _masked_by_words(lines, problem.line, excerpt, _secret_names(kinds))
            key, colon, value = excerpt.partition(": ")
            excerpt = key + colon + without_url_secrets(value)
        yield replace(problem, excerpt=excerpt if problem.end_line else "")


def _masked(line: str, number: int, places: Iterable[Place]) -> str:
    """The line without those parts of `places` that are in it; each character keeps its column."""
    for place in places:
        if place.line <= number <= place.end_line:
            begin, end = _within(line, number, place)
            line = line[:begin] + MASK * (end - begin) + line[end:]
    return line


def _without_urls_secrets(line: str, number: int, places: Iterable[Place]) -> str:
    for place in places:
        if place.line <= number <= place.end_line:
            begin, end = _within(line, number, place)
            line = line[:begin] + without_url_secrets(line[begin:end]) + line[end:]
    return line


def _within(line: str, number: int, place: Place) -> tuple[int, int]:
    """Where in the line of this number the part of it that is in `place` begins and ends."""
    begin = place.column - 1 if place.line == number else 0
    return begin, place.end_column - 1 if place.end_line == number else len(line)


def _urls(document: Document) -> Iterator[Place]:
    """Where URLs stand that have secrets. (A URL does not go on in another line.)"""
    for _, node in document.root.scalars():
        if isinstance(node.value, str) and without_url_secrets(node.value) != node.value:
            yield from filter(None, (node.place, node.anchored))


def _secrets(document: Document, kinds: Kinds, wanted: set[int]) -> Iterator[Place]:
    """Where in the wanted lines values stand that must not be shown."""
    for path, node in document.root.scalars():
        for place in filter(None, (node.place, node.anchored)):
            lines = range(place.line, place.end_line + 1)
            if not wanted.isdisjoint(lines) and _is_secret(document, path, kinds):
                yield place


def _is_secret(document: Document, path: Path, kinds: Kinds) -> bool:
    schema, within = schema_around(document.root, path, kinds)
    if schema is None:
        return within[-1:] not in _PUBLIC
    return is_write_only(schema, within) or _looks_secret(schema, within)


def _looks_secret(schema: Schema, path: Path) -> bool:
    """Whether the first unknown key on the way is near to one that is a secret's."""
    for depth, step in enumerate(path):
        known = known_keys(schema, path[:depth])
        if isinstance(step, str) and known and step not in known:
            near = nearest(step, known, _ALIKE)
            return bool(near) and is_write_only(schema, (*path[:depth], near))
    return False


def _secret_names(kinds: Kinds) -> list[str]:
    """The names of all fields that are secrets, in any kind."""
    schemas = [kind_schema(name, kinds) for name in (*OBJECT_KINDS, *kinds)]
    return sorted({name for schema in schemas for name in _names_in(schema)})


def _names_in(schema: Schema) -> Iterator[str]:
    for part in all_within(schema):
        for name in part.get("properties", ()):
            if is_write_only(part, (name,)):
                yield name


def _masked_by_words(lines: Sequence[str], number: int, line: str, names: Iterable[str]) -> str:
    """The line without what stands behind a secret's name, in it or in the lines around it."""
    secret = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b[\"']?\s*:\s*")
    if found := secret.search(line):
        return line[: found.end()] + MASK * len(line[found.end() :])
    indent = _indent(line)
    for above in reversed(lines[: number - 1]):
        if above.strip() and (_indent(above) < indent or not line.strip()):
            indent = _indent(above)
            if secret.search(above):
                return MASK * len(line)
    return line


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
