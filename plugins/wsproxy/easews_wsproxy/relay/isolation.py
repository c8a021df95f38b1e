"""A fault in one session ends that session, and no other."""

from __future__ import annotations

import logging

from .lifecycle import Lifecycle

log: logging.Logger = logging.getLogger("easews.wsproxy")


def contain(session: Lifecycle, now: float) -> None:
    """Log the exception that is being handled, and close the session with 1011."""
    log.exception("session %s: a fault while relaying; it is closed", session.opening.id)
    try:
        session.on_failure(now)
        session.settle(now)
    except Exception:
        log.exception("session %s: it is cut", session.opening.id)
        cut(session)


def cut(session: Lifecycle) -> None:
    """Close its connections as they are, whatever is raised by that."""
    try:
        session.cut()
    except Exception:
        log.exception("session %s: a fault at its end", session.opening.id)
