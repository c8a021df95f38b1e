"""The kinds of filter that this repository has, whatever else is installed, such as an example."""

from __future__ import annotations

from easews.plugins import Kinds, discover

_PACKAGES = ("easews-wsproxy", "easews-headers", "easews-httpproxy", "easews-messages")
OUR_KINDS: Kinds = Kinds(kind for kind in discover().values() if kind.distribution in _PACKAGES)
