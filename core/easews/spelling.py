"""Which known word a misspelt one is meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: How alike two words have to be before the one is taken for a slip of the other.
ALIKE = 0.7


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """``did you mean 'port'?``, or nothing when no candidate is near."""
    near = nearest(word, candidates, ALIKE)
    return f"did you mean {near!r}?" if near else ""


def nearest(word: str, candidates: Iterable[str], alike: float) -> str:
    """The candidate that `word` may be a slip of, or nothing; `alike` is from 0 to 1."""
    by_folded = {candidate.lower(): candidate for candidate in candidates}
    near = difflib.get_close_matches(word.lower(), by_folded, n=1, cutoff=alike)
    return by_folded[near[0]] if near else ""
