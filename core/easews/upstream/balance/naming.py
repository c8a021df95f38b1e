"""The policy that `loadBalance` names, and what is wrong with how it is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ...filters import SpecFault
from ...http import Request
from ...http.cookies import cookie
from .draws import Draw, TwoChoices
from .hashing import Bounded, Hashed, Key
from .least import Least
from .policy import Policy
from .rotation import Rotation

Spec = Mapping[str, Any]

_PLAIN: Mapping[str, Callable[[], Policy]] = {
    "roundRobin": Rotation,
    "weightedRoundRobin": Rotation,
    "random": partial(Draw, weighted=False),
    "weightedRandom": partial(Draw, weighted=True),
    "leastConnections": Least,
    "powerOfTwo": TwoChoices,
}
_HASHED: Mapping[str, Callable[[Key, Policy], Policy]] = {
    "ipHash": Hashed,
    "headerHash": Hashed,
    "cookieHash": Hashed,
    "consistentHash": Bounded,
}
#: With these a client comes back to the server that it had.
LEADS_BACK = frozenset(_HASHED)
#: Which policies use which key; `consistentHash` takes the client's address where there is none.
_KEYS = {
    "headerHashKey": ("headerHash", "consistentHash"),
    "cookieHashKey": ("cookieHash", "consistentHash"),
}


def policy_for(spec: Spec, default: str = "roundRobin") -> Policy:
    """The policy of a `loadBalance` that has no `policy_faults`; `default` where it names none."""
    name = spec.get("policy", default)
    if name in _PLAIN:
        return _PLAIN[name]()
    return _HASHED[name](_key(spec), Rotation())


def policy_faults(spec: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    """What the schema cannot say: which policy needs which key."""
    name = spec.get("policy", "")
    for field, policies in _KEYS.items():
        if field in spec and name not in policies:
            accepted = f"write policy: {policies[0]}, or leave {field} out"
            yield SpecFault((*at, field), f"no policy uses {field} here", accepted)
    for field in _KEYS:
        if name == _KEYS[field][0] and field not in spec:
            what = "the header" if field == "headerHashKey" else "the cookie"
            yield SpecFault(
                (*at, "policy"),
                f"{name} needs {what} whose value chooses the server",
                f"name it in {field}",
            )
    if name == "consistentHash" and all(field in spec for field in _KEYS):
        yield SpecFault(
            (*at, "cookieHashKey"), "there is one key, and headerHashKey is it", "keep one of them"
        )


def _key(spec: Spec) -> Key:
    if "headerHashKey" in spec:
        return partial(_header, spec["headerHashKey"].lower())
    if "cookieHashKey" in spec:
        return partial(_cookie, spec["cookieHashKey"])
    return _client


def _client(request: Request) -> str | None:
    return request.client.host


def _header(name: str, request: Request) -> str | None:
    return request.headers.get(name) or None


def _cookie(name: str, request: Request) -> str | None:
    return cookie(request.headers, name) or None
