"""What Easegress has and easews has not: each kind, and what to do instead.

Its fields that are not there yet stand in the schema of their kind, refused with a description
that begins with "Not supported yet".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources


def instead_of(kind: str) -> tuple[str, str] | None:
    """What is wrong with a kind of Easegress's that is not here, and the remedy, or None."""
    for noun, kinds in missing_kinds().items():
        if remedy := kinds.get(kind):
            return f"not supported yet: the {noun} {kind}", remedy
    return None


@cache
def missing_kinds() -> Mapping[str, Mapping[str, str]]:
    """What a kind is, filter or object, its name, and the remedy."""
    text = (resources.files(__package__) / "easegress.json").read_text("utf-8")
    table: dict[str, dict[str, str]] = json.loads(text)
    return table
