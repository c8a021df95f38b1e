"""The schema of schemas, as one document that `fitting` walks quickly.

That of draft 2020-12 is spread over eight documents, and for each schema within another jsonschema
looks them all up again (`$dynamicRef`). To check the kinds of a usual installation like that takes
a fifth of the time of `easews validate`.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

from .loading import Bound, bound

_TO_ANY_SCHEMA = '{"$dynamicRef": "#meta"}'
_TO_ANOTHER_DOCUMENT = re.compile(r'"meta/[a-z-]+#')


@cache
def metaschema() -> Bound:
    """What every schema has to fit. It says nothing of regular expressions, being no more than a
    `format` to it.
    """
    whole = Draft202012Validator.META_SCHEMA
    resolver = REGISTRY.resolver(whole["$id"])
    parts = [whole, *(resolver.lookup(part["$ref"]).contents for part in whole["allOf"])]
    merged: dict[str, Any] = {"type": whole["type"], "properties": {}, "$defs": {}}
    for part in parts:
        merged["properties"] |= part["properties"]
        merged["$defs"] |= part.get("$defs", {})
    text = json.dumps(merged).replace(_TO_ANY_SCHEMA, '{"$ref": "#"}')
    return bound(json.loads(_TO_ANOTHER_DOCUMENT.sub('"#', text)))
