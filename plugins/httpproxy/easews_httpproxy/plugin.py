"""The entry point: what this package brings to easews."""

from __future__ import annotations

from easews import Filter, hookimpl

from .proxy import Proxy


@hookimpl
def easews_filters() -> list[type[Filter]]:
    return [Proxy]
