"""The entry point: what this package brings to easews."""

from __future__ import annotations

from easews import Filter, hookimpl

from .logger import MessageLogger
from .ratelimiter import MessageRateLimiter
from .transform import MessageTransform
from .validator import MessageValidator


@hookimpl
def easews_filters() -> list[type[Filter]]:
    return [MessageLogger, MessageRateLimiter, MessageTransform, MessageValidator]
