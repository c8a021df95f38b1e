"""Which server of a pool gets a request: the policies of `loadBalance`.   (pure)

policy    Policy: what each of them does
rotation  roundRobin, weightedRoundRobin
draws     random, weightedRandom, powerOfTwo
least     leastConnections
hashing   ipHash, headerHash, cookieHash, consistentHash
naming    policy_for: the policy that a spec names, and its faults
"""

from .naming import policy_faults, policy_for
from .policy import Policy

__all__ = ["Policy", "policy_faults", "policy_for"]
