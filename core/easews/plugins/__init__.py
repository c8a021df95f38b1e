"""From installed distributions to the kinds of filter that a config may name.

    distributions  who declares a plugin: entry points, and what their packages say of themselves
    kinds          what plugins bring: a kind of filter with its schema          (values)
    version        the versions of the contract, and which easews has which     (pure)
    hooks          whether a class's hooks can be called, and which name is a slip of one (pure)
    checks         one class against the contract                               (pure)
    singlefile     the filters of a single file, for development
    discovery      load them all, and tell of each fault whose it is

pluggy calls the hook, but the entry points are loaded here, because pluggy skips a second entry
point of the same name, ignores a misspelt hook, and does not say whose import has failed. Each of
these is a `PluginError` that names the distribution.
"""

from .discovery import discover, load_plugins, raised_at
from .distributions import GROUP, Classes, Found, installed
from .kinds import Kind, Kinds, Plugin, build_notes
from .singlefile import load_file

__all__ = [
    "GROUP",
    "Classes",
    "Found",
    "Kind",
    "Kinds",
    "Plugin",
    "build_notes",
    "discover",
    "installed",
    "load_file",
    "load_plugins",
    "raised_at",
]
