"""The token: from the config, or from a file that is read at the start."""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path

from ..config.admin import token_in
from ..config.model import AdminSpec
from ..errors import EasewsError, why_unreadable

log: logging.Logger = logging.getLogger("easews.admin")

#: Characters that a token has at least.
SHORTEST = 16


class TokenFault(EasewsError):
    """The file has no token that can be used."""


def token_of(spec: AdminSpec) -> str:
    """The token; empty when none is asked for. TokenFault when its file is no good."""
    if not spec.token_file:
        return spec.token
    try:
        token = token_in(Path(spec.token_file))
    except OSError as error:
        wrong, remedy = why_unreadable(error)
        told = f"{spec.token_file}, the file of the admin token, {wrong}"
        raise TokenFault(f"{told}; {remedy}" if remedy else told) from None
    except UnicodeDecodeError:
        token = ""
    if len(token) < SHORTEST or not (token.isascii() and token.isprintable()):
        wrong = f"{spec.token_file} has no token of {SHORTEST} characters or more"
        raise TokenFault(f"{wrong}; `openssl rand -hex 32` makes a good one")
    return token


def warn_if_public(spec: AdminSpec) -> None:
    """Warn when other users of this machine may read the token."""
    if not spec.token_file:
        return
    with suppress(OSError):
        if os.stat(spec.token_file).st_mode & stat.S_IROTH:
            log.warning("everybody may read %s: run `chmod o= FILE` on it", spec.token_file)
