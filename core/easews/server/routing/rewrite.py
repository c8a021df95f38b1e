"""rewriteTarget: the path that is sent on.

With `path` the whole path is replaced, with `pathPrefix` the prefix, and with `pathRegexp` each
match.
"""

from __future__ import annotations

from typing import Any

from ...config.model import PathSpec
from ...http.rewriting import Rewrite, replace_in_path, replace_path, replace_path_prefix


def rewriter(spec: PathSpec, regexp: Any) -> Rewrite | None:
    """What turns the client's path into the one that is sent on; None leaves it as it is.

    `regexp` is `path_regexp` compiled by RE2, or None.
    """
    if not spec.rewrite_target:
        return None
    if regexp is not None:
        return replace_in_path(regexp, spec.rewrite_target)
    if spec.path_prefix is not None:
        return replace_path_prefix(spec.path_prefix, spec.rewrite_target)
    return replace_path(spec.rewrite_target)
