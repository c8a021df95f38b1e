"""Another commit of easews as a subject: built in a venv of its own below `.cache/bench`."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .loads import Ability
from .running import values_for, write_configs
from .subjects import SUBJECTS, Subject
from .tools import BUILT, BenchError

ROOT = Path(__file__).parent.parent
#: The subject that a commit is compared with: the one that runs what this folder has.
NOW = next(subject for subject in SUBJECTS if subject.name == "easews")
SHORT = 9


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit by its hash, and the first line of its message."""

    sha: str
    title: str

    def __str__(self) -> str:
        return f"{self.sha[:SHORT]} {self.title}"


def find_commit(ref: str) -> Commit:
    """The commit that `ref` names here. BenchError when there is none."""
    found = _git("log", "-1", "--format=%H %s", ref, "--")
    sha, _, title = found.partition(" ")
    return Commit(sha, title)


def build(commit: Commit) -> Subject:
    """The commit's packages, installed as a user would have them. Kept for the next time."""
    folder = BUILT / commit.sha
    python = folder / "venv" / "bin" / "python"
    wanted = f"{sys.version}\n" + "\n".join(_installed())
    built = folder / "built"
    if not built.is_file() or built.read_text(encoding="utf-8") != wanted:
        print(f"Building {commit} in {folder} ...", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _unpack(commit, folder / "tree")
        _install(folder, python)
        built.write_text(wanted, encoding="utf-8")
    command = tuple(str(python) if word == "@PYTHON@" else word for word in NOW.command)
    return replace(NOW, name=f"easews@{commit.sha[:SHORT]}", distributions=(), command=command)


def able(before: Subject, needs: Iterable[Ability]) -> Subject:
    """The subject, with what it does of what loads need: the commit accepts the config for it."""
    new = {need for need in needs if need != "ws" and not _accepts(before, need)}
    return replace(before, does=before.does - new)


def _accepts(before: Subject, need: Ability) -> bool:
    python, *module, _, config = before.command
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        write_configs(before, need, values_for(before, 1, 2), Path(folder))
        command = [python, *module, "validate", config]
        environment = {**os.environ, **before.environment}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True)
        return not done.returncode


def _unpack(commit: Commit, tree: Path) -> None:
    tree.mkdir()
    archive = tree.with_suffix(".tar")
    _git("archive", "--format=tar", f"--output={archive}", commit.sha)
    _run(["tar", "-x", "-f", str(archive), "-C", str(tree)])
    archive.unlink()


def _install(folder: Path, python: Path) -> None:
    """Install the commit's packages; what they depend on has the version that it has here."""
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(_installed()) + "\n", encoding="utf-8")
    tree = folder / "tree"
    packages = [tree, *sorted(project.parent for project in tree.glob("plugins/*/pyproject.toml"))]
    _run([sys.executable, "-m", "venv", str(folder / "venv")])
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--constraint", str(constraints), *map(str, packages)])


def _installed() -> Iterator[str]:
    """What is installed here besides easews itself, as constraints of pip."""
    found = {
        f"{distribution.name}=={distribution.version}"
        for distribution in importlib.metadata.distributions()
        if not distribution.name.startswith("easews")
    }
    yield from sorted(found)


def _git(*arguments: str) -> str:
    if shutil.which("git") is None:
        raise BenchError("another commit is built with git, and there is none")
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def _run(command: Sequence[str]) -> None:
    if subprocess.run(command).returncode:
        raise BenchError(f"{' '.join(command)} failed; its message is above")
