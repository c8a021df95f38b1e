"""Regular expressions of configs: RE2, which takes linear time whatever a client sends."""

from __future__ import annotations

from typing import Any

import re2  # type: ignore[import-untyped]


def compiled(pattern: str, *, case_sensitive: bool = True) -> Any:
    """`pattern`, which is known to be good, with a dot that is any character."""
    options = re2.Options()
    options.case_sensitive = case_sensitive
    options.dot_nl = True  # or `%0A` would slip past `.*`
    return re2.compile(pattern, options)
