"""One class against the contract of `easews.Filter`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import PluginError
from ..filters import END, HOOKS, Filter, overrides, schema_of
from .distributions import Found
from .hooks import misspelt_hooks, unfit_hooks
from .kinds import Kind
from .version import misfit


def checked_kind(found: Found, item: object, checks_schema: bool = True) -> Kind:
    """What a plugin has returned, as a kind. PluginError when it breaks the contract. The schema
    need not be checked where another process has done that.
    """

    def fault(problem: str, remedy: str) -> PluginError:
        return PluginError(found.distribution, problem, remedy)

    if not (inspect.isclass(item) and issubclass(item, Filter)):
        raise fault(
            f"easews_filters() returned {item!r}, which is no filter",
            "return subclasses of easews.Filter",
        )
    kind = getattr(item, "kind", None)
    if not isinstance(kind, str) or not kind.isidentifier():
        raise fault(f"{item.__name__}.kind is {kind!r}", "set it to a name such as 'MyFilter'")
    # Another version may have other hooks, so this comes before a look at them.
    if fault_of_version := misfit(item.api, found.distribution, found.asks_for):
        problem, remedy = fault_of_version
        raise fault(f"{kind} {problem}", remedy)
    for problem, remedy in misspelt_hooks(item):
        raise fault(f"{kind}.{problem}", remedy)
    if not any(overrides(item, hook) for hook in HOOKS):
        raise fault(f"{kind} has no hook", f"write one of its methods: {', '.join(HOOKS)}")
    if not inspect.iscoroutinefunction(item.handle):
        raise fault(f"{kind}.handle is no coroutine", "write 'async def handle(self, ctx)'")
    if not inspect.iscoroutinefunction(item.on_answer):
        raise fault(f"{kind}.on_answer is no coroutine", "write 'async def on_answer(self, ctx)'")
    for problem, remedy in unfit_hooks(item):
        raise fault(f"{kind}.{problem}", remedy)
    results: Iterable[object] = item.results
    if isinstance(results, str) or not all(isinstance(r, str) and r for r in results):
        raise fault(f"{kind}.results is {results!r}", "set it to a tuple of strings")
    if END in results:
        raise fault(f"{kind} declares the result END", "choose another name: END ends a flow")
    if not isinstance(item.build_note, str):
        raise fault(f"{kind}.build_note is {item.build_note!r}", "set it to a string")
    try:
        schema = schema_of(item)
        if checks_schema:
            _check_schema(schema)
    except (OSError, ValueError, TypeError, ModuleNotFoundError) as error:
        raise fault(
            f"{kind}.schema cannot be used: {error}",
            "give a JSON Schema (draft 2020-12) as a dict, or the name of a file in schemas/",
        ) from error
    if taken := sorted({"kind", "name"} & schema.get("properties", {}).keys()):
        raise fault(
            f"{kind}.schema has a field {taken[0]!r}, which every filter has",
            "give that field another name",
        )
    return Kind(kind, item, schema, found.distribution, found.version)


def _check_schema(schema: Mapping[str, Any]) -> None:
    """ValueError when a schema is no good one."""
    from jsonschema.exceptions import SchemaError  # 4 MiB, which workers do without

    from ..schema import check_schema

    try:
        check_schema(schema)
    except SchemaError as error:
        raise ValueError(error.message) from error
