"""The contract between the engine and its filters.

A filter is a class. Its class attributes say what it is (`kind`), what its config looks like
(`schema`) and what `handle` may return (`results`). Each entry of a pipeline's `filters` gets an
instance, which is entered once and then handles many `Context`s at a time.

described  what a filter class says of itself: its schema and its summary
filter     Filter: the class, and the life of an instance
context    Context: one request on its way through a pipeline
"""

from .context import Context, Line
from .described import ON_ERROR, schema_of, summary_of
from .filter import API, END, HOOKS, INTERNAL_ERROR, Filter, SpecFault, overrides

__all__ = [
    "API",
    "END",
    "HOOKS",
    "INTERNAL_ERROR",
    "ON_ERROR",
    "Context",
    "Filter",
    "Line",
    "SpecFault",
    "overrides",
    "schema_of",
    "summary_of",
]
