"""How much of the pure rules their tests run: `python scripts/rule_coverage.py`.

Arguments go to pytest, such as `-n 4`. The tests run with the relay's inner loop in Python, since
coverage sees no C: this is also where all of the relay's tests run without a compiled loop, on
asyncio.

Pure are the modules that the import contracts in `pyproject.toml` keep away from sockets and event
loops. They need no peer to be tested, so nearly every line and branch of theirs can be. The limit
is `fail_under` in `[tool.coverage.report]`; what is left out stands there, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
#: One event loop is enough for the rules. What measures memory byte by byte takes five times as
#: long here, and runs no line that others do not.
TESTS = (
    "-q",
    "-p",
    "no:cacheprovider",
    "-k",
    "not trio and not memory_is_bounded and not byte_by_byte",
    "tests/core",
    "tests/headers",
    "tests/httpproxy",
    "tests/messages",
    "tests/wsproxy",
)


def pure_modules() -> list[str]:
    """The modules and packages that must import no socket, as the contracts name them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return [
        module
        for contract in contracts["contracts"]
        if "socket" in contract.get("forbidden_modules", ())
        for module in contract["source_modules"]
    ]


def impure_files() -> Iterator[str]:
    """The other modules. To measure them as well would take longer than to run them."""
    pure = tuple(pure_modules())
    for source in (ROOT / "core", *(ROOT / "plugins").iterdir()):
        for file in source.rglob("*.py"):
            module = ".".join(file.relative_to(source).with_suffix("").parts)
            if not f"{module.removesuffix('.__init__')}.".startswith(tuple(f"{m}." for m in pure)):
                yield str(file)


def coverage(*arguments: str) -> int:
    command = [sys.executable, "-m", "coverage", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "EASEWS_PURE": "1"}).returncode


if __name__ == "__main__":
    omit = f"--omit={','.join(impure_files())}"
    failed = (
        coverage("erase")
        or coverage("run", omit, "-m", "pytest", *TESTS, *sys.argv[1:])
        or coverage("combine", "--quiet")
        or coverage("report")
    )
    sys.exit(failed)
