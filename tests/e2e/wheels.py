"""An environment with wheels of ours and of the examples, which knows nothing of this folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
THIRD_PARTY = Path(__file__).parent / "third_party"
EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/plugins/*/tests"))
WSPROXY = ROOT / "plugins" / "wsproxy"
SOURCES = [ROOT, ROOT / "plugins/headers", ROOT / "plugins/httpproxy", THIRD_PARTY, *EXAMPLES]


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """What the command prints; AssertionError with all of its output when it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def pip(python: Path | str, *arguments: str | Path, cwd: Path) -> None:
    """Run pip of this Python, without a word unless it fails."""
    quiet = ("--quiet", "--no-input", "--disable-pip-version-check")
    run(python, "-m", "pip", *arguments[:1], *quiet, *arguments[1:], cwd=cwd)


def environment(folder: Path) -> Path:
    """Build all wheels and install them into a new environment; its Python."""
    # setuptools leaves a folder `build` beside what it builds.
    sources = [*SOURCES, folder / "wsproxy"]
    shutil.copytree(WSPROXY, sources[-1], ignore=shutil.ignore_patterns("build", "*.so"))
    # With what builds them, which the extra `test` brings: nobody fetches it for each build.
    options = ("--no-deps", "--no-build-isolation", "-w", "wheels")
    pip(sys.executable, "wheel", *options, *sources, cwd=folder)
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    wheels = sorted((folder / "wheels").glob("*.whl"))
    assert len(wheels) == len(sources)
    pip(python, "install", *wheels, "trio>=0.27", cwd=folder)
    return python
