"""Writes `schemas/`, for editors that check and complete: `python scripts/editor_schemas.py`.

It holds the kinds of the packages in `plugins/`, whatever else is installed: the demo's, for one.
"""

from __future__ import annotations

from pathlib import Path

from easews.cli.editors import write_all
from easews.plugins import Kinds, discover

FOLDER = Path(__file__).parent.parent / "schemas"
PACKAGES = ("easews-wsproxy", "easews-headers", "easews-httpproxy", "easews-messages")


def published() -> Kinds:
    return Kinds(kind for kind in discover().values() if kind.distribution in PACKAGES)


if __name__ == "__main__":
    print(", ".join(write_all(FOLDER, published())) or "all is as it was")
