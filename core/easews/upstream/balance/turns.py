"""What a policy takes over from that of the config before.   (pure)

Turns are all that a policy knows besides the servers: what they have to do is theirs, and hashes
and cookies lead to the same server in any case.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..servers import Member
from .hashing import Hashed
from .policy import Policy
from .rotation import Rotation
from .sticky import Sticky


def keep_turns(policy: Policy, previous: Policy, heirs: Mapping[Member, Member]) -> None:
    """Let `policy` go on with the turns of `previous`, whose members have these heirs.

    `policy.update` has to follow.
    """
    ours, theirs = _rotation(policy), _rotation(previous)
    if ours is not None and theirs is not None:
        ours.go_on(theirs, heirs)


def _rotation(policy: Policy) -> Rotation | None:
    while isinstance(policy, Hashed | Sticky):
        policy = policy.others
    return policy if isinstance(policy, Rotation) else None
