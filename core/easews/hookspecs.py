"""The hooks that a plugin may implement, and the marker to implement them with.

A plugin is a module (or object) named by an entry point of the group ``easews``::

    [project.entry-points.easews]
    my-filters = "my_package.plugin"

    # my_package/plugin.py
    from easews import hookimpl
    from .stamp import Stamp

    @hookimpl
    def easews_filters():
        return [Stamp]
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from .filters import Filter

PROJECT = "easews"

hookspec: pluggy.HookspecMarker = pluggy.HookspecMarker(PROJECT)
hookimpl: pluggy.HookimplMarker = pluggy.HookimplMarker(PROJECT)


@hookspec
def easews_filters() -> Sequence[type[Filter]]:  # type: ignore[empty-body]
    """The filter classes that this plugin brings."""
