"""Words and values as they stand in messages about configs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..schema import Schema
from ..spelling import did_you_mean
from .documents import Node
from .scalars import typed

NOT_SUPPORTED = "Not supported yet"

# A text that YAML takes as it stands, where it begins no other thing, ends none and is no comment.
_PLAIN = re.compile(
    r"(?![-?:](?: |$)|[\s,\[\]{}#&*!|>'\"%@`])(?:(?!: | #|:$)[^\n])+(?<!\s)"
).fullmatch
_IN_FLOW = re.compile(r"^[-:]|[,\[\]{}?]").search


class Wording(NamedTuple):
    """A fault in words, and what `findings` has to know to leave out what follows from it.

    `keys` are set when the fault is theirs and not that of the value: `near` is the known key
    that the one is a slip of, `inside` the one in whose value, or in whose entries, they belong,
    which has none yet if the fault `fills` it. `missing` is a key that is not there, `replaces`
    one that is not there because of this one; a `vague` fault has others that tell more.
    """

    wrong: str
    accepted: str = ""
    keys: tuple[str, ...] = ()
    near: str = ""
    inside: str = ""
    fills: bool = False
    missing: str = ""
    replaces: str = ""
    vague: bool = False


def listed(words: Iterable[str], nothing: str = "none") -> str:
    return ", ".join(words) or nothing


def either(words: Sequence[str]) -> str:
    """``a, b or c``."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def going_on(sentence: str) -> str:
    """A sentence as part of a longer one."""
    sentence = sentence.rstrip(".")
    return sentence[:1].lower() + sentence[1:]


def choice(wanted: Node, names: Sequence[str]) -> str:
    """A name near to the wanted one, or all that there are."""
    near = "" if wanted.hidden else did_you_mean(str(wanted.value), names)
    return near or (f"there are: {listed(names)}" if names else "there is none yet: write it")


def accepted_by(schema: Schema) -> str:
    """What a schema says that it takes: the first sentence of its description, and examples."""
    description = going_on(str(schema.get("description", "")).partition(". ")[0])
    return " ".join(filter(None, (description, such_as(schema))))


def such_as(schema: Schema) -> str:
    examples = [written(example) for example in schema.get("examples", ())[:3]]
    return f"(such as {', '.join(examples)})" if examples else ""


def written(value: Any) -> str:
    """A value as YAML in a line; texts without quotes, where they need none."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_inside(key)}: {_inside(it)}" for key, it in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inside, value)) + "]"
    needs_none = isinstance(value, str) and _PLAIN(value) and typed(value) == value
    return value if needs_none else json.dumps(value, ensure_ascii=False)


def _inside(value: Any) -> str:
    """A value as it stands between [] or {}, where more texts need quotes."""
    plain = written(value)
    return json.dumps(value, ensure_ascii=False) if plain == value and _IN_FLOW(value) else plain
