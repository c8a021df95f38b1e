"""The hooks of one class: whether the engine can call them, and which name is a slip of one."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from types import FunctionType

from ..filters import HOOKS, Filter, overrides
from ..spelling import nearest

#: How alike a method has to be to a hook before it is taken for a slip; helpers are less alike.
_ALIKE = 0.83
#: What each method is called with, besides `self`.
_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "__init__": ("name", "spec"),
    "handle": ("ctx",),
    "on_answer": ("ctx",),
    "on_open": ("session",),
    "on_message": ("session", "message"),
    "on_tick": ("session",),
    "on_close": ("session", "ending"),
    "inherit": ("previous",),
}


def misspelt_hooks(made: type[Filter]) -> Iterator[tuple[str, str]]:
    """The public methods that are meant to be hooks: what is wrong with each, and the remedy."""
    missing = [hook for hook in HOOKS if not overrides(made, hook)]
    for name in _public_methods(made):
        if hook := nearest(name, missing, _ALIKE):
            remedy = f"did you mean {hook}? A method that is no hook may be called _{name}"
            yield f"{name} is no hook", remedy


def _public_methods(made: type[Filter]) -> Iterator[str]:
    """Those of the class and of its bases below `Filter`."""
    for each in made.__mro__:
        if issubclass(each, Filter) and each is not Filter:
            for name, value in vars(each).items():
                is_known = name.startswith("_") or hasattr(Filter, name)
                if isinstance(value, FunctionType) and not is_known:
                    yield name


def unfit_hooks(made: type[Filter]) -> Iterator[tuple[str, str]]:
    """The hooks that cannot be called: what is wrong with each, and the remedy.

    Only plain functions are looked at, and what a decorator has made of them counts.
    """
    for name, parameters in _PARAMETERS.items():
        method = inspect.getattr_static(made, name)
        if not isinstance(method, FunctionType) or method is vars(Filter)[name]:
            continue
        shown = f"{name}({', '.join(('self', *parameters))})"
        try:
            inspect.signature(method, follow_wrapped=False).bind(None, *parameters)
        except TypeError as error:
            yield f"{name} cannot be called: {error}", f"write `def {shown}`"
        if inspect.isasyncgenfunction(method):
            yield f"{name} is an async generator", "return a list instead of `yield`"
