"""Certificates that are renewed while they are served: their files are looked at now and then.

No notification of the system is used: it would have to watch the folders of symbolic links, too,
which is what tools that renew certificates change, and it does not exist for network file systems.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import anyio
from anyio import to_thread

from ...errors import CertificateError
from ...net.pem import KeyPair
from ...server import ServerTls

log: logging.Logger = logging.getLogger("easews.server")

#: Seconds between two looks. A change is taken over at the second look that finds it.
LOOK_EVERY = 2.0
#: Seconds between two warnings of a certificate that is about to expire.
WARN_EVERY = 24 * 60 * 60.0
#: With fewer days left a certificate is warned of: those that renew them do so much earlier.
_FEW_DAYS = 14


async def renew(served: Callable[[], Iterable[ServerTls]], every: float = LOOK_EVERY) -> None:
    """Look at the files of every server that is served with TLS, until cancelled. Once a day
    certificates that are about to expire are warned of: perhaps whatever renews them has failed.
    """
    warned = anyio.current_time()
    while True:
        await anyio.sleep(every)
        is_due = anyio.current_time() - warned >= WARN_EVERY
        warned += WARN_EVERY * is_due
        for tls in list(served()):
            await look_at(tls)
            if is_due:
                warn_of_old(tls)


async def look_at(tls: ServerTls) -> None:
    """Take over what has changed. What cannot be used is reported, and what is served stays."""
    if not tls.has_changed():
        return
    try:
        loaded = await to_thread.run_sync(tls.load)
    except CertificateError as error:
        log.error("the certificates in use stay: %s", error)
    except Exception:  # of what nobody has thought of: the gateway has to go on
        log.exception("the certificates in use stay: those of %s cannot be loaded", tls.name)
    else:
        tls.take(loaded)
        for pair in tls.pairs:
            log.info("%s", told(tls.name, pair))
        warn_of_old(tls)


def told(server: str, pair: KeyPair) -> str:
    """Which names a certificate is for, and until when."""
    names = ", ".join(pair.names) or "no name"
    return f"{server} has a certificate for {names} until {pair.not_after:%Y-%m-%d %H:%M} UTC"


def warn_of_old(tls: ServerTls, now: datetime | None = None) -> None:
    """Log a warning for each certificate that is about to expire."""
    for pair in tls.pairs:
        days = (pair.not_after - (now or datetime.now(UTC))).days
        if days < _FEW_DAYS:
            when = f"in {days} days" if days >= 0 else "which is over"
            log.warning("%s, %s: renew it", told(tls.name, pair), when)
