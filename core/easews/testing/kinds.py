"""What a good kind of filter has, beyond what the engine insists on."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..config.fields import Field, fields_of
from ..errors import ConfigError, PluginError
from ..filters import Filter, overrides, summary_of
from ..messages import Reads
from ..schema import errors
from .contexts import kinds_with, make_filter

_LONGEST_SUMMARY = 100


class KindFinding(NamedTuple):
    """Something that a kind lacks.

    wrong   what is wrong
    remedy  what to do about it
    """

    wrong: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.wrong}: {self.remedy}"


def check_kind(filter_class: type[Filter]) -> None:
    """Expect that users and editors are told all about the kind, and that its hooks fit.

    AssertionError lists every finding with its remedy.
    """
    __tracebackhide__ = True
    if findings := kind_findings(filter_class):
        lines = "".join(f"\n- {finding}" for finding in findings)
        raise AssertionError(f"the kind {filter_class.__name__} is not in order:{lines}")


def kind_findings(filter_class: type[Filter]) -> list[KindFinding]:
    """The same as a list; empty when the kind is in order."""
    try:
        kind = kinds_with(filter_class)[filter_class.kind]
    except PluginError as error:
        return [KindFinding(error.problem, error.remedy)]
    return [
        *_about_class(filter_class),
        *_about_life(filter_class),
        *_about_reading(filter_class),
        *_about_schema(filter_class, kind.schema),
    ]


def _about_class(made: type[Filter]) -> Iterator[KindFinding]:
    summary = summary_of(made)
    if not summary or made.__doc__ == Filter.__doc__:
        yield KindFinding("it has no docstring", "say in its first line what the filter does")
    elif len(summary) > _LONGEST_SUMMARY or not summary.endswith("."):
        yield KindFinding(
            "the first line of its docstring is no short sentence",
            f"at most {_LONGEST_SUMMARY} characters, with a full stop: `easews kinds` prints it",
        )
    if "api" not in _own(made):
        yield KindFinding("it does not say for which contract it was written", "write `api = 1`")
    for name, value in _own(made).items():
        if isinstance(value, (list, dict, set)) and not hasattr(Filter, name):
            yield KindFinding(
                f"{name} is shared by all its instances, and can be changed",
                "make it in __init__, or make it a tuple or a frozenset",
            )


def _own(made: type[Filter]) -> dict[str, Any]:
    """The attributes of the class and of its bases below `Filter`."""
    classes = [each for each in reversed(made.__mro__) if each not in Filter.__mro__]
    return {name: value for each in classes for name, value in vars(each).items()}


def _about_life(made: type[Filter]) -> Iterator[KindFinding]:
    for name in ("__aenter__", "__aexit__"):
        if not inspect.iscoroutinefunction(getattr(made, name)):
            yield KindFinding(f"{name} is no coroutine", f"write `async def {name}`")


def _about_reading(made: type[Filter]) -> Iterator[KindFinding]:
    own, reads = _own(made), made.reads
    if not isinstance(reads, Reads):
        yield KindFinding(f"reads is {reads!r}", "write `reads = Reads(...)`")
    elif not (reads.senders and {*reads.senders} <= {"client", "backend"}):
        yield KindFinding(f"reads.senders is {reads.senders!r}", 'name "client", "backend" or both')
    elif not (reads.text or reads.binary) or reads.max_size < 1:
        yield KindFinding("reads leaves no message", "take text or binary, and a max_size above 0")
    for name, hook in (("reads", "on_message"), ("tick", "on_tick")):
        if name in own and not overrides(made, hook):
            yield KindFinding(f"{name} is set, but there is no {hook}", f"write {hook}")
    for name in ("tick", "hook_timeout"):
        if not getattr(made, name) > 0:
            yield KindFinding(f"{name} is {getattr(made, name)!r}", "set it to seconds above 0")


# The schema


def _about_schema(made: type[Filter], schema: Mapping[str, Any]) -> Iterator[KindFinding]:
    if schema.get("additionalProperties", schema.get("unevaluatedProperties")) is not False:
        yield KindFinding("its schema accepts misspelt fields", "add `additionalProperties: False`")
    for field in fields_of(schema):
        if field.supported:
            yield from _about_field(field)
    examples = schema.get("examples", ())
    if not examples and {*schema.get("properties", ())} - {"onError"}:  # that is every reader's
        yield KindFinding(
            "its schema has no example of an entry", "add `examples: [{...}]` at its top"
        )
    for example in examples:
        yield from _about_example(made, example)


def _about_field(field: Field) -> Iterator[KindFinding]:
    if len(field.description.split()) < 3:
        yield KindFinding(
            f"the field {field.path} has no description of three words or more", "say what it does"
        )
    says_values = bool({"enum", "const"} & field.schema.keys())
    if not (says_values or field.schema.get("type") in ("boolean", "null") or _shown(field)):
        yield KindFinding(f"the field {field.path} has no example", "add `examples: [...]`")
    if not (field.required or "default" in field.schema or "ithout" in field.description):
        yield KindFinding(
            f"the field {field.path} does not say what happens without it",
            "give it a default, or a description with 'Without it, ...'",
        )
    for example in field.schema.get("examples", ()):
        for error in errors(field.schema, example):
            yield KindFinding(
                f"an example of the field {field.path} is not valid: {error.message}", "correct it"
            )


def _shown(field: Field) -> bool:
    return bool(field.schema.get("examples") or field.schema.get("properties"))


def _about_example(made: type[Filter], example: Mapping[str, Any]) -> Iterator[KindFinding]:
    spec = {name: value for name, value in example.items() if name not in ("kind", "name")}
    try:
        make_filter(made, **spec)
    except ConfigError as error:
        yield KindFinding(f"the example {spec!r} is not valid: {error}", "correct it")
    except Exception as error:
        yield KindFinding(
            f"__init__ raises {type(error).__name__} for the example {spec!r}: {error}",
            "yield a SpecFault in `check` for what the schema cannot express",
        )
