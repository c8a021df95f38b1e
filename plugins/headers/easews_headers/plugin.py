"""The entry point: what this package brings to easews."""

from __future__ import annotations

from easews import Filter, hookimpl

from .corsadaptor import CORSAdaptor
from .fallback import Fallback
from .mock import Mock
from .redirector import Redirector
from .requestadaptor import RequestAdaptor
from .responseadaptor import ResponseAdaptor
from .securityheaders import SecurityHeaders
from .xforwarded import XForwarded


@hookimpl
def easews_filters() -> list[type[Filter]]:
    return [
        CORSAdaptor,
        Fallback,
        Mock,
        Redirector,
        RequestAdaptor,
        ResponseAdaptor,
        SecurityHeaders,
        XForwarded,
    ]
