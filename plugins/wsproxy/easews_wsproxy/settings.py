"""What holds for the sessions of one pool.   (values and rules, no I/O)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from easews import Hooks, Sender
from easews.upstream import Pool

from .handshake.origin import OriginPolicy
from .relay.rates import Rate
from .relay.watchdog import Limits

Spec = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """A pool of servers, and what a config says of its sessions.

    pool               the servers
    origins            which pages may open a session
    connect_timeout    seconds for the connection to a server
    handshake_timeout  seconds for a server's answer to the handshake
    limits             what the watchdog checks
    message_limits     bytes of a sender's largest message, -1 for any
    """

    pool: Pool
    origins: OriginPolicy
    connect_timeout: float
    handshake_timeout: float
    limits: Limits
    message_limits: Mapping[Sender, int]

    @classmethod
    def from_spec(cls, spec: Spec) -> PoolSettings:
        """Make them from a pool's spec, whose defaults are filled in."""
        timeouts = spec["timeouts"]
        return cls(
            pool=Pool.from_spec(spec, policy="leastConnections"),
            origins=OriginPolicy(spec["originPatterns"], spec["insecureSkipVerify"]),
            connect_timeout=timeouts["connect"],
            handshake_timeout=timeouts["handshake"],
            limits=_limits(spec),
            message_limits={
                "client": spec["clientMaxMsgSize"],
                "backend": spec["serverMaxMsgSize"],
            },
        )

    def read_limits(self, hooks: Hooks | None) -> dict[Sender, int]:
        """How many bytes a message may have, by the senders whose messages are read."""
        limits: dict[Sender, int] = {}
        for sender, limit in self.message_limits.items():
            reads = None if hooks is None else hooks.reads(sender)
            if reads is not None:
                limits[sender] = reads.max_size if limit < 0 else min(reads.max_size, limit)
        return limits


def _limits(spec: Spec) -> Limits:
    timeouts, keep_alive, rate = spec["timeouts"], spec["keepAlive"], spec.get("clientRateLimit")
    return Limits(
        close=timeouts["close"],
        slow_reader=timeouts["slowReader"],
        ping_interval=keep_alive["interval"] or inf,
        ping_timeout=keep_alive["timeout"],
        idle=timeouts["idle"] or inf,
        max_age=timeouts["maxAge"] or inf,
        client_rate=None if rate is None else _rate(rate),
        backend_lost_code=spec["backendLostCode"],
    )


def _rate(spec: Spec) -> Rate:
    size = spec["bytes"]
    return Rate(spec.get("messages", inf), size if size > 0 else inf, spec["over"] == "close")
