"""What the scripts do before they install anything."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.repo.pages import ROOT

#: A Python that says that it is another version.
PRETENDER = """\
#!{python}
import collections, platform, sys
Version = collections.namedtuple("Version", "major minor micro releaselevel serial")
sys.version_info = Version(*{version!r})
platform.python_version = lambda: "{name}"
exec(sys.argv[2])
"""


def find_python(
    folder: Path, version: tuple[int, int, int, str, int], name: str
) -> subprocess.CompletedProcess[str]:
    python = folder / "python"
    python.write_text(PRETENDER.format(python=sys.executable, version=version, name=name))
    python.chmod(0o755)
    return subprocess.run(
        ["sh", "-c", f". {ROOT}/scripts/venv.sh; find_python"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(python)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ((3, 11, 0, "final", 0), "3.11.0"),
        ((3, 11, 2, "final", 0), "3.11.2"),
        ((3, 14, 1, "final", 0), "3.14.1"),
    ],
)
def test_every_release_from_3_11_0_on_is_taken(
    tmp_path: Path, version: tuple[int, int, int, str, int], name: str
) -> None:
    done = find_python(tmp_path, version, name)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/python\n")


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ((3, 10, 13, "final", 0), "3.10.13"),
        ((3, 11, 0, "candidate", 2), "3.11.0rc2"),
        ((3, 15, 0, "alpha", 1), "3.15.0a1"),
    ],
)
def test_a_python_that_is_not_supported_is_refused_with_its_version(
    tmp_path: Path, version: tuple[int, int, int, str, int], name: str
) -> None:
    done = find_python(tmp_path, version, name)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"needs Python 3.11.0 or newer, no alpha, beta or release candidate, but {tmp_path}" in (
        done.stderr
    )
    assert f"is {name}." in done.stderr


def test_packages_are_installed_again_when_what_is_compiled_changes() -> None:
    (pattern,) = re.findall(r"plugins\S*\[ch\]", (ROOT / "scripts" / "venv.sh").read_text())
    compiled = set(ROOT.glob("plugins/*/easews_*/**/*.[ch]"))
    assert compiled
    assert compiled <= set(ROOT.glob(pattern))
