"""What can go wrong, one class for each thing that a caller handles differently.

EasewsError
├── ConfigError      the config cannot be used: every problem, with its place
├── PluginError      an installed plugin is at fault: names its distribution
├── ListenError      an address cannot be listened on
├── CertificateError a certificate or key cannot be used: its file, and why
└── UpstreamError    a backend has failed
    ├── ConnectError     no connection: try the next server
    ├── UpstreamTimeout  no answer in time: 504
    └── BadAnswer        an answer that is not HTTP, or not what was asked for: 502
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass


class EasewsError(Exception):
    """Base of every error that easews raises on purpose; its text is meant for people."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a config: where it stands, what is wrong, what would be accepted.

    `file` is as the user named it; `line` and `column` count from 1; `path` is where in the
    document, such as ``demo-server.rules[0].paths[1].backend``, or empty for a whole file.
    The spot ends before `end_line` and `end_column`, as far as that is known (not 0). `excerpt`
    is its first line as the file has it, secrets masked; `kind` the kind of object or filter
    whose fields are worth a look.
    """

    file: str
    line: int
    column: int
    path: str
    wrong: str
    accepted: str = ""
    end_line: int = 0
    end_column: int = 0
    excerpt: str = ""
    kind: str = ""

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        where = f"{self.file}:{self.line}:{self.column}: {path}{self.wrong}"
        return f"{where}; {self.accepted}" if self.accepted else where


class ConfigError(EasewsError):
    """The config cannot be used.

    problems  all of its faults, in the order of the files
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems: tuple[Problem, ...] = tuple(problems)


class PluginError(EasewsError):
    """An installed plugin cannot be used.

    distribution  the package to update or uninstall
    problem       what is wrong with it
    remedy        what its author or user does next
    """

    def __init__(self, distribution: str, problem: str, remedy: str) -> None:
        super().__init__(f"{distribution}: {problem}; {remedy}")
        self.distribution: str = distribution
        self.problem: str = problem
        self.remedy: str = remedy


class ListenError(EasewsError):
    """An address cannot be listened on: taken, privileged, or not of this machine."""


class CertificateError(EasewsError):
    """A certificate or key cannot be used; the text names its file and says why."""


class FilterError(EasewsError):
    """A filter could not start; the text names it and says why."""


class MessageError(EasewsError):
    """The client's request is malformed, or larger than allowed.

    status  the status of the answer, after which the server closes the connection
    detail  the check that failed; it repeats nothing secret and may be shown to the client

    Reading `ctx.request.body` may raise it. A filter does not catch it: the server answers.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status: int = status
        self.detail: str = detail


class UpstreamError(EasewsError):
    """A backend has failed; the text says how, and names the server."""


class ConnectError(UpstreamError):
    """The server cannot be reached. The caller tries the next one of the pool."""


class UpstreamTimeout(UpstreamError):
    """The server did not answer in time."""


class ConnectTimeout(ConnectError, UpstreamTimeout):
    """The server was not reached in time; nothing was sent yet."""


class BadAnswer(UpstreamError):
    """The server's answer is not valid HTTP, or is incomplete."""


_REMEDIES = {
    errno.ENOENT: "check its name, and the folder that you are in",
    errno.EACCES: "allow this user to read it",
}


def why_unreadable(error: OSError) -> tuple[str, str]:
    """What is wrong with a file, and what to do about it."""
    return f"cannot be read: {error.strerror}", _REMEDIES.get(error.errno or 0, "")
