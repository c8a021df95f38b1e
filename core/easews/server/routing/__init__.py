"""Which path of a server is responsible for a request. Pure.

router   host, path and method -> the path entry, or why there is none
rewrite  the target that is sent on
"""

from .router import Match, Refused, Router

__all__ = ["Match", "Refused", "Router"]
