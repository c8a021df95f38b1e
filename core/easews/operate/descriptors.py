"""The limit of open files, raised to what a config needs."""

from __future__ import annotations

import logging
import resource
from contextlib import suppress

from ..config.model import Config, ServerSpec

log: logging.Logger = logging.getLogger("easews")

#: Descriptors that the process needs besides two for each connection.
_SPARE_DESCRIPTORS = 64
#: For how many connections of a server there have to be descriptors when its config names none.
_USUAL_CONNECTIONS = 1024


def raise_limit(config: Config) -> None:
    """Raise the soft limit of open files, and tell when it will not do for the connections that
    the config allows.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS reports a hard limit that it does not take; the warning below tells.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * sum(map(_expected_connections, config.servers)) + _SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        log.warning(
            "maxConnections needs up to %d open files, and the limit is %d: raise it (ulimit -n), "
            "or lower maxConnections",
            *(wanted, soft),
        )


def _expected_connections(spec: ServerSpec) -> int:
    if spec.expects_connections:
        return spec.max_connections
    return min(spec.max_connections, _USUAL_CONNECTIONS)
