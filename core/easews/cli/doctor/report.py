"""What was seen and found, as text and as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..report import (
    BOLD,
    BOLD_RED,
    CYAN,
    GREEN,
    details,
    painted,
    printable,
    summary,
    table,
)
from .asking import TITLES
from .findings import Finding
from .hops import compared, went
from .products import named
from .seen import Answer, Handshake, Heard, Hop, IdleSeen, Lost, SessionSeen, TlsSeen


def text(
    hops: Sequence[Hop], findings: Sequence[Finding], width: int | None, *, colour: bool
) -> str:
    """What a person reads: each hop, how they compare, and what is wrong."""
    parts = [_hop(hop, len(hops) > 1, width, colour) for hop in hops]
    if len(hops) > 1:
        parts.append(table(compared(hops), colour=colour))
    parts += [_finding(finding, len(hops) > 1, width, colour) for finding in findings]
    return "\n\n".join([*parts, _closing(findings, colour)])


def _closing(findings: Sequence[Finding], colour: bool) -> str:
    problems = sum(finding.problem for finding in findings)
    if problems:
        return painted(f"{summary(problems, 'problem')} found", BOLD_RED, colour)
    return painted("No problem found", GREEN, colour)


def _hop(hop: Hop, numbered: bool, width: int | None, colour: bool) -> str:
    product = product_at(hop)
    title = f"Hop {hop.number}: {hop.url}" if numbered else hop.url
    rows = [(label, printable(shown)) for label, shown in _rows(hop)]
    heading = painted(title, BOLD, colour) + (f"  ({product})" if product else "")
    return f"{heading}\n{details(rows, width, colour=colour)}"


def product_at(hop: Hop) -> str:
    """Who answers there, as far as the answers give it away: they may be of two, one behind the
    other."""
    answers = (hop.plain, hop.browser.heard if hop.browser else None)
    return ", ".join(dict.fromkeys(filter(None, map(named, answers))))


def _rows(hop: Hop) -> Iterator[tuple[str, str]]:
    for address in hop.addresses:
        fine = f"connects in {address.seconds * 1000:.0f} ms"
        yield "address", f"{address.ip}: {address.error or fine}"
    if hop.tls is not None:
        yield "TLS", _tls(hop.tls)
    yield "plain GET", _heard(hop.plain)
    for name, handshake in hop.handshakes.items():
        label = "handshake" if name == "browser" else ""
        how = went(hop, name)
        extra = f"; {_agreed(handshake)}" if name == "browser" and handshake.switches else ""
        yield label or " ", f"{TITLES[name]}: {how}{extra}"
    if hop.session is not None:
        yield "session", _session(hop.session)
    if hop.idle is not None:
        yield "idle", _idle(hop.idle)


def _tls(tls: TlsSeen) -> str:
    parts = [tls.version or "no agreement"]
    if tls.names:
        parts.append(f"a certificate for {', '.join(tls.names)}")
    if tls.not_after is not None:
        parts.append(f"until {tls.not_after:%Y-%m-%d}")
    return ", ".join([*parts, *([f"refused: {tls.detail}"] if tls.fault else [])])


def _heard(heard: Heard | None) -> str:
    if heard is None:
        return ""
    if isinstance(heard, Lost):
        return heard.detail or heard.how
    kind = f", {heard.media_type}" if heard.media_type else ""
    return f"{heard.status} {heard.reason}".rstrip() + kind


def _agreed(browser: Handshake) -> str:
    parts = ["no compression" if browser.deflate is None else "permessage-deflate"]
    if browser.subprotocol:
        parts.append(f"subprotocol {browser.subprotocol}")
    return ", ".join(parts)


def _session(session: SessionSeen) -> str:
    parts = []
    if session.malformed:
        parts.append(session.malformed)
    if session.pong is not None:
        parts.append(f"ping answered in {session.pong * 1000:.0f} ms")
    elif not session.early:
        parts.append("ping not answered")
    if session.unasked:
        parts.append(f"{summary(session.unasked, 'message')} without asking")
    if session.sent and not session.early:
        parts.append("message answered" if session.reply is not None else "message not answered")
    parts.append("no Close (1006)" if session.code is None else f"Close {session.code}")
    return ", ".join(parts)


def _idle(idle: IdleSeen) -> str:
    pings = f", with {summary(idle.pings, 'ping')} of the server" if idle.pings else ""
    if idle.ended is not None:
        how = "without a Close" if idle.code is None else f"with Close {idle.code}"
        return f"ended after {idle.ended:.1f} s {how}{pings}"
    return f"{idle.asked:g} s{pings}, then " + ("alive" if idle.pong else "dead")


def _finding(finding: Finding, numbered: bool, width: int | None, colour: bool) -> str:
    mark, style = ("PROBLEM", BOLD_RED) if finding.problem else ("NOTE", CYAN)
    heading = painted(f"{mark}  {finding.title}", style, colour)
    rows = [("seen", _seen(finding, numbered)), ("means", printable(finding.means))]
    if finding.follows:
        rows.append(("cause", f"probably what hop {finding.follows} has"))
    elif finding.lost_at:
        where = f"it gets lost at hop {finding.lost_at}: at hop {finding.lost_at + 1} it is well"
        rows.append(("where", where))
    for remedy in () if finding.follows else finding.change:
        rows += [
            ("change", printable(remedy.text)),
            *((" ", f"    {line}") for line in remedy.lines),
        ]
    return f"{heading}\n{details(rows, width, colour=colour)}"


def _seen(finding: Finding, numbered: bool) -> str:
    seen = printable(finding.seen)
    if not numbered:
        return seen
    return f"hop {finding.hop}: {seen}" if seen else f"hop {finding.hop}"


def as_json(hops: Sequence[Hop], findings: Sequence[Finding]) -> str:
    """The same for machines."""
    found = [_finding_json(finding) for finding in findings]
    return json.dumps({"hops": [_hop_json(hop) for hop in hops], "findings": found}, indent=2)


def _finding_json(finding: Finding) -> Mapping[str, Any]:
    return {
        "code": finding.code,
        "problem": finding.problem,
        "hop": finding.hop,
        "lostAt": finding.lost_at or None,
        "follows": finding.follows or None,
        "title": finding.title,
        "seen": finding.seen,
        "means": finding.means,
        "change": [{"text": one.text, "lines": [*one.lines]} for one in finding.change],
    }


def _hop_json(hop: Hop) -> Mapping[str, Any]:
    session, idle, tls = hop.session, hop.idle, hop.tls
    return {
        "hop": hop.number,
        "url": hop.url,
        "product": product_at(hop),
        "addresses": [{"ip": one.ip, "error": one.error} for one in hop.addresses],
        "tls": tls and {"version": tls.version, "fault": tls.fault, "names": [*tls.names]},
        "plain": _heard_json(hop.plain),
        "handshakes": {
            name: {
                **_heard_json(one.heard),
                "works": one.works,
                "subprotocol": one.subprotocol,
                "compression": one.deflate is not None,
            }
            for name, one in hop.handshakes.items()
        },
        "session": session
        and {
            "pong": session.pong,
            "reply": session.reply,
            "code": session.code,
            "reason": session.reason,
            "endedEarly": session.early,
        },
        "idle": idle
        and {"asked": idle.asked, "ended": idle.ended, "code": idle.code, "pings": idle.pings},
    }


def _heard_json(heard: Heard | None) -> Mapping[str, Any]:
    if isinstance(heard, Answer):
        return {"status": heard.status, "lost": None}
    return {"status": None, "lost": heard.how if heard else None}
