"""Builds an image from a Containerfile where no builder is at hand: each stage is a folder of
changes that is laid over this machine's own root (overlayfs), and each step runs there, as root.

Base images cannot be had here. What stands for them is this machine's root, a Debian like theirs,
with its /usr/bin/python3 as `python`. So the version of Python is another one than in the file.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import string
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: How this machine reaches the registries.
_PASSED_ON = re.compile(r"PIP_.*|SSL_CERT_.*|REQUESTS_CA_BUNDLE|.*_proxy", re.IGNORECASE)
#: Seconds that a step may take; pip and apt-get ask registries.
STEP_PATIENCE = 300.0


class BuildError(Exception):
    """A step of the build has failed, or is not understood."""


@dataclass(slots=True)
class Stage:
    """A stage: `changes` are its files, as far as they are not those of this machine."""

    changes: Path
    workdir: str = "/"
    user: str = "0:0"
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    settings: dict[str, str] = field(default_factory=dict)

    def argv(self, instruction: str) -> list[str]:
        """What the exec form of ENTRYPOINT, CMD or HEALTHCHECK holds."""
        text = self.settings[instruction]
        words: list[str] = json.loads(text[text.index("[") :])
        return words

    def command(self, argv: Sequence[str], writable: bool = False) -> list[str]:
        """The command by which `argv` runs in the image, by its user and in its environment.

        Only where it is `writable` can the image be changed; else as many as like may run.
        """
        work, merged = (self.changes.with_suffix(it) for it in (".work", ".merged"))
        for folder in (work, merged):
            folder.mkdir(exist_ok=True)
        layers = (
            f"lowerdir=/,upperdir={self.changes},workdir={work}"
            if writable
            else f"lowerdir={self.changes}:/"
        )
        passed_on = {k: v for k, v in os.environ.items() if _PASSED_ON.fullmatch(k)}
        env = {"HOME": "/", **passed_on, **self.env}
        user, _, group = self.user.partition(":")
        inside = f"cd {shlex.quote(self.workdir)} && exec {shlex.join(argv)}"
        words = [
            *("env", "-i", *(f"{name}={value}" for name, value in env.items())),
            *("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"),
            *("sh", "-c", inside),
        ]
        script = (
            f"mount -t overlay overlay -o {layers} {merged}; "
            f"mount --rbind /dev {merged}/dev; mount --rbind /proc {merged}/proc; "
            f"exec chroot {merged} {shlex.join(words)}"
        )
        return ["unshare", "--mount", "--propagation=private", "sh", "-ec", script]


class Builder:
    """Builds the stages of `containerfile` below `folder`, with `context` to copy from."""

    def __init__(self, containerfile: str, context: Path, folder: Path) -> None:
        self._text = containerfile
        self._context = context
        self._folder = folder
        self._ignored = ignore_rules(context)
        self._args: dict[str, str] = {}
        self._stages: dict[str, Stage] = {}

    def build(self) -> Stage:
        """The last stage. BuildError when a step fails."""
        stage = None
        for instruction, rest in instructions(self._text):
            if instruction == "ARG" and stage is None:
                name, _, default = rest.partition("=")
                self._args[name] = default
            elif instruction == "FROM":
                stage = self._begin(self._filled(rest, self._args).split())
            elif stage is None:
                raise BuildError(f"{instruction} before FROM")
            else:
                self._do(stage, instruction, rest)
        if stage is None:
            raise BuildError("there is no FROM")
        return stage

    def _begin(self, words: list[str]) -> Stage:
        image, *alias = words
        if not re.fullmatch(r"python:3\.\d+-slim-bookworm", image):
            raise BuildError(f"this machine does not stand for {image}")
        name = alias[1] if alias else str(len(self._stages))
        changes = self._folder / name
        (changes / "usr" / "local" / "bin").mkdir(parents=True)
        (changes / "usr" / "local" / "bin" / "python").symlink_to("/usr/bin/python3")
        self._stages[name] = Stage(changes)
        return self._stages[name]

    def _do(self, stage: Stage, instruction: str, rest: str) -> None:
        match instruction:
            case "RUN":
                self._run(stage, rest)
            case "COPY":
                self._copy(stage, shlex.split(rest))
            case "WORKDIR":
                stage.workdir = rest
                (stage.changes / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "ENV":
                pairs = (word.partition("=") for word in shlex.split(rest))
                stage.env |= {k: self._filled(v, stage.env) for k, _, v in pairs}
            case "USER":
                stage.user = rest
            case "EXPOSE" | "STOPSIGNAL" | "HEALTHCHECK" | "ENTRYPOINT" | "CMD":
                stage.settings[instruction] = rest
            case _:
                raise BuildError(f"{instruction} is not understood")

    def _run(self, stage: Stage, command: str) -> None:
        done = subprocess.run(
            stage.command(["sh", "-c", command], writable=True),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=STEP_PATIENCE,
        )
        if done.returncode:
            raise BuildError(f"RUN {command}: {done.returncode}\n{done.stdout[-4000:]}")

    def _copy(self, stage: Stage, words: list[str]) -> None:
        origin = self._context
        if words[0].startswith("--from="):
            origin = self._stages[words.pop(0).removeprefix("--from=")].changes
        *sources, target = words
        to = stage.changes / os.path.join(stage.workdir, target).lstrip("/")
        for source in sources:
            found = origin / source.lstrip("/")
            if not found.exists() or (origin == self._context and self._is_ignored(source)):
                raise BuildError(f"COPY {source}: it is not there")
            if found.is_dir():
                ignore = self._ignore if origin == self._context else None
                shutil.copytree(found, to, symlinks=True, ignore=ignore, dirs_exist_ok=True)
            else:
                to.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, to / found.name)

    def _is_ignored(self, source: str) -> bool:
        ignored = False
        for rule in self._ignored:
            if fnmatch.fnmatch(source, rule.removeprefix("!").removeprefix("**/")):
                ignored = not rule.startswith("!")
        return ignored

    def _ignore(self, _: str, names: list[str]) -> list[str]:
        """In every folder: what a rule that begins with `**/` names."""
        rules = [rule.removeprefix("**/") for rule in self._ignored if rule.startswith("**/")]
        return [name for name in names for rule in rules if fnmatch.fnmatch(name, rule)]

    def _filled(self, text: str, values: dict[str, str]) -> str:
        return string.Template(text).substitute(values)


def ignore_rules(context: Path) -> list[str]:
    """The rules of `.dockerignore`, of which the last one that fits counts."""
    file = context / ".dockerignore"
    lines = file.read_text().splitlines() if file.exists() else []
    return [line for line in lines if line and not line.startswith("#")]


def instructions(containerfile: str) -> Iterator[tuple[str, str]]:
    """Each instruction and what follows it, in one line."""
    lines = [line for line in containerfile.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            instruction, _, rest = line.strip().partition(" ")
            yield instruction, rest.strip()


def can_build() -> bool:
    """Whether this machine allows such mounts."""
    script = "mount -t overlay overlay -o lowerdir=/usr:/etc /mnt"
    command = ["unshare", "--mount", "--propagation=private", "sh", "-ec", script]
    try:
        return subprocess.run(command, capture_output=True, timeout=60).returncode == 0
    except OSError:
        return False
