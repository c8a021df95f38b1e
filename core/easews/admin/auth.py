"""Who may ask what. Pure: a request in, a refusal out.

A browser sends requests to this machine for any page that it shows. So a request needs a Host that
no stranger's DNS can lead here (DNS rebinding), must not come from a page of another site, and
needs the token where there is one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ..addresses import parse_ip
from ..http import Request
from ..http.hosts import host_name
from ..http.origins import parse_origin

#: `open` is for everybody, such as a load balancer that asks whether we are ready.
Access = Literal["open", "token"]

_SAME_SITE = ("same-origin", "none")
_BEARER = "bearer "


class Refusal(NamedTuple):
    """Why a request is not answered as it wants, and the status that says so."""

    status: int
    detail: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """Which requests are refused. `token` is required unless it is empty; `names` are the hosts
    that lead here, besides localhost and IPs.
    """

    token: str = field(default="", repr=False)
    names: Collection[str] = ()

    def refusal(self, request: Request, access: Access) -> Refusal | None:
        """Why the request may not have what needs this access; None when it may."""
        if not self._knows(request.host):
            detail = "this Host is not known here; list it in the `hosts` of `admin`"
            return Refusal(421, detail)
        if access == "open":
            return None
        if _is_of_another_site(request):
            return Refusal(403, "a page of another site has sent this request")
        if self.token and not _is_same(_token_of(request), self.token):
            wanted = (("WWW-Authenticate", 'Bearer realm="easews"'),)
            return Refusal(401, "write the token: `Authorization: Bearer TOKEN`", wanted)
        return None

    def _knows(self, host: str) -> bool:
        """No DNS leads to an IP, and browsers resolve localhost by themselves."""
        name = host_name(host)
        is_ip = parse_ip(name.strip("[]")) is not None
        return is_ip or name == "localhost" or name in self.names


def _is_of_another_site(request: Request) -> bool:
    """As browsers tell: every one of them sends Origin with POST, and current ones send
    Sec-Fetch-Site with everything. Other ports of this machine are other sites, too.
    """
    headers = request.headers
    if any(site not in _SAME_SITE for site in headers.get_all("sec-fetch-site")):
        return True
    origins = [parse_origin(text) for text in headers.get_all("origin")]
    return any(it is None or not it.is_at(request.host.lower()) for it in origins)


def _token_of(request: Request) -> str:
    given = request.headers.get("authorization")
    is_bearer = given[: len(_BEARER)].lower() == _BEARER
    return given[len(_BEARER) :].strip() if is_bearer else ""


def _is_same(given: str, token: str) -> bool:
    """Takes as long for every token of the same length, right or wrong."""
    return hmac.compare_digest(_digest(given), _digest(token))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
