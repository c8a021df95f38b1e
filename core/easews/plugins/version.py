"""The versions of the contract between engine and filters, and which easews has which.

`docs/reference/api-changelog.md` says what is in each.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping

#: What to install for each version of the contract. The last one is this engine's.
RELEASES: Mapping[int, str] = {1: "easews>=0.1"}

_COMPARED: Mapping[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
    "~=": lambda version, least: version >= least and version[: len(least) - 1] == least[:-1],
}
_clause = re.compile(r"([<>=!~]=|[<>])\s*(\d+(?:\.\d+)*)").fullmatch


def fits(version: str, asks: str) -> bool:
    """Whether this version is one of `asks`, such as ``>=0.1,<0.2``; by its numbers only.

    What is not understood does not fit; nothing that is asked for is any version.
    """
    clauses = [_clause(clause.strip()) for clause in asks.split(",") if clause.strip()]
    return all(clause and _fits(version, clause[1], clause[2]) for clause in clauses)


def _fits(version: str, compare: str, wanted: str) -> bool:
    numbers = tuple(map(int, wanted.split(".")))
    own = tuple(map(int, re.findall(r"\d+", version)))
    own += (0,) * (len(numbers) - len(own))
    if compare in ("==", "!=", "<=", ">"):
        numbers += (0,) * (len(own) - len(numbers))
    return _COMPARED[compare](own, numbers)


def misfit(
    api: object, distribution: str, asks: str, releases: Mapping[int, str] = RELEASES
) -> tuple[str, str] | None:
    """Why a filter for version `api` cannot work here, and the way out. None when it can.

    `asks` are the versions of easews that its distribution asks for, as far as it says.
    """
    current = max(releases)
    if isinstance(api, int) and not isinstance(api, bool) and api == current:
        return None
    if not isinstance(api, int) or isinstance(api, bool) or api < min(releases):
        return (
            f"api is {api!r}, which is no version of the filter contract",
            f"set it to the version that the filter was written for; this easews has {current}",
        )
    problem = f"is for version {api} of the filter contract, and this easews has version {current}"
    if api > current:
        needs = f" ({distribution} asks for easews{asks})" if asks else ""
        return problem, (
            f"update easews{needs}: pip install --upgrade easews; or install an older "
            f"{distribution}, for version {current}"
        )
    return problem, (
        f"update the filter: pip install --upgrade {distribution}; or go back to an easews with "
        f"version {api}: pip install '{releases[api]}'"
    )
