"""Which server of a pool gets a request: the policies of `loadBalance`.   (pure)

policy    Policy: what each of them does
rotation  roundRobin, weightedRoundRobin
draws     random, weightedRandom, powerOfTwo
least     leastConnections
hashing   ipHash, headerHash, cookieHash, consistentHash
sticky    the cookie that leads a client back to its server
tags      which of a pool's servers are meant
rebalancing  which sessions are closed after a scale-out
turns     what a policy takes over from that of the config before
naming    policy_for: the policy that a spec names, and its faults
"""

from .naming import policy_faults, policy_for
from .policy import Policy

__all__ = ["Policy", "policy_faults", "policy_for"]
