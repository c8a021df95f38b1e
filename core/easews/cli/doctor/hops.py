"""The findings of all hops, and at which hop something gets lost. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .connecting import connection_findings, tls_findings
from .findings import STAGES, Finding
from .idling import idle_findings
from .opened import answer_findings, session_findings, variant_findings
from .refusals import refusal_finding
from .seen import Answer, Hop


def hop_findings(hop: Hop, protocols: Sequence[str] = ()) -> list[Finding]:
    """What is found at one hop, taken by itself."""
    refused = refusal_finding(hop)
    found = [
        *connection_findings(hop),
        *tls_findings(hop),
        *([refused] if refused else []),
        *answer_findings(hop),
        *variant_findings(hop, protocols),
        *session_findings(hop),
        *idle_findings(hop),
    ]
    return [replace(finding, hop=hop.number) for finding in found]


def findings(hops: Sequence[Hop], protocols: Sequence[str] = ()) -> list[Finding]:
    """What is found at all hops, from the client on. Each says which hop causes it, or follows
    from what another has: something that fails at a hop fails at those in front of it, too. A note
    is made at one hop only."""
    by_hop = [hop_findings(hop, protocols) for hop in hops]
    for outer, own in zip(hops, by_hop[1:], strict=False):
        own[:] = [_in_use(finding, outer) for finding in own]
    behind = [*by_hop[1:], []]
    found = [
        _placed(finding, inner, is_last=finding.hop == hops[-1].number)
        for own, inner in zip(by_hop, behind, strict=True)
        for finding in own
    ]
    told = [one for one in found if one.problem or not one.follows]
    return sorted(told, key=lambda one: (not one.problem, bool(one.follows), -one.hop))


def _in_use(finding: Finding, outer: Hop) -> Finding:
    """The finding behind the hop `outer`: a Host that is expected there may be what it sends."""
    fine = finding.code == "host-expected" and outer.works("browser")
    return replace(finding, problem=False) if fine else finding


def _placed(finding: Finding, inner: Sequence[Finding], is_last: bool) -> Finding:
    """The finding with what the next hop, nearer to the server, has to say on it."""
    if is_last:
        return finding
    if any(other.code == finding.code for other in inner):
        return replace(finding, follows=finding.hop + 1)
    stage = STAGES.index(finding.stage)
    causes = [one for one in inner if one.problem and STAGES.index(one.stage) <= stage]
    if finding.problem and causes and stage >= STAGES.index("handshake"):
        return replace(finding, follows=finding.hop + 1)
    return replace(finding, lost_at=finding.hop)


#: What is compared between the hops: a title, and how it went.
def compared(hops: Sequence[Hop]) -> list[tuple[str, ...]]:
    """A table: what was tried, and how it went at each hop. The first row is the heading."""
    heading = ("", *(f"hop {hop.number}" for hop in hops))
    rows = [(title, *(how(hop) for hop in hops)) for title, how in _ASPECTS]
    return [heading, *(row for row in rows if any(cell != "-" for cell in row[1:]))]


def _connect(hop: Hop) -> str:
    return "ok" if hop.reachable else "fails"


def _tls(hop: Hop) -> str:
    if hop.tls is None:
        return "-"
    return hop.tls.fault or hop.tls.version


def _plain(hop: Hop) -> str:
    if hop.plain is None:
        return "-"
    return str(hop.plain.status) if isinstance(hop.plain, Answer) else hop.plain.how


def went(hop: Hop, variant: str) -> str:
    """How a handshake went, in a word: ok, a status, or how it got lost."""
    handshake = hop.handshakes.get(variant)
    if handshake is None:
        return "-"
    if isinstance(handshake.heard, Answer):
        if handshake.heard.status != 101:
            return str(handshake.heard.status)
        return "invalid 101" if handshake.flaws else "ok"
    return handshake.heard.how


def _deflate(hop: Hop) -> str:
    if hop.browser is None or not hop.browser.switches:
        return "-"
    return "no" if hop.browser.deflate is None else "yes"


def _subprotocol(hop: Hop) -> str:
    return hop.browser.subprotocol or "-" if hop.browser else "-"


def _pong(hop: Hop) -> str:
    if hop.session is None:
        return "-"
    return "lost" if hop.session.pong is None else "ok"


def _message(hop: Hop) -> str:
    if hop.session is None or not hop.session.sent:
        return "-"
    if hop.session.reply is None:
        return "lost"
    return "ok" if hop.session.expected else "changed"


def _close(hop: Hop) -> str:
    if hop.session is None:
        return "-"
    return "1006" if hop.session.code is None else str(hop.session.code)


def _idle(hop: Hop) -> str:
    if hop.idle is None:
        return "-"
    if hop.idle.ended is not None:
        return f"{hop.idle.ended:.1f} s"
    return "ok" if hop.idle.pong else "dead"


_ASPECTS = (
    ("connection", _connect),
    ("TLS", _tls),
    ("plain GET", _plain),
    ("handshake", lambda hop: went(hop, "browser")),
    ("without Origin", lambda hop: went(hop, "no-origin")),
    ("compression", _deflate),
    ("subprotocol", _subprotocol),
    ("ping", _pong),
    ("message", _message),
    ("close", _close),
    ("idle session", _idle),
)
