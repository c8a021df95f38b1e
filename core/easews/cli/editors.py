"""JSON Schemas for editors: one kind, everything in one document, or a folder of files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..config.schemas import OBJECT_KINDS
from ..config.standalone import bundle, standalone
from ..plugins import Kinds

#: The file for whole config files among those that `write_all` writes.
BUNDLE = "config.json"


def files(kinds: Kinds) -> Iterator[tuple[str, str]]:
    """Name and content of each schema file: one a kind, and the bundle."""
    yield BUNDLE, as_json(bundle(kinds))
    for kind in (*OBJECT_KINDS, *kinds):
        yield f"{kind}.json", as_json(standalone(kind, kinds))


def write_all(folder: Path, kinds: Kinds) -> list[str]:
    """Write every schema file; the names of those that changed. OSError when it cannot."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, content in files(kinds):
        file = folder / name
        if not file.exists() or file.read_text("utf-8") != content:
            file.write_text(content, "utf-8")
            changed.append(name)
    return changed


def as_json(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
