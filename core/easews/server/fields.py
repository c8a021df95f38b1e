"""Which fields of a request are taken over: a client can neither forge nor remove what decides.

Filters set fields such as X-Auth-User, and backends decide by them. So what the client has a say
in is settled before any filter runs: which fields are for this hop only, and what is said about
whom the request came through.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..http import ClientCertificate, Headers, hyphenated
from ..http.certificates import TOLD
from ..http.forwarded import forwarding_names

# RFC 9112 §§9.3, 9.6 and RFC 9110 §7.8: options of Connection that filters and the server read.
_OPTIONS = frozenset({"close", "keep-alive", "upgrade"})

# What Connection cannot remove. RFC 9110 §7.6.1 forbids to name a field that is for all recipients
# there, and without these the request would be another one: Host decides on the route, the framing
# has been read by now, and the Sec-WebSocket-* fields belong to the Upgrade. TE, which has to be
# named there, tells whether the client takes trailers; no proxy sends it on as it is.
_ESSENTIAL = frozenset(
    {"connection", "content-length", "host", "te", "transfer-encoding", "upgrade"}
)


def received_fields(headers: Headers, trusted: bool, source: str | None) -> Headers:
    """The fields of a request that count; `headers` itself when these are all.

    Gone is what Connection names, and Connection keeps only `close`, `keep-alive` and `upgrade`:
    a name in it would also remove what a filter sets. From a peer that is not `trusted` all
    forwarding fields are gone. Of a trusted one the family is believed that `source` names
    (`x-forwarded-for` or `forwarded`; for None see `_disbelieved`).
    """
    options = headers.tokens("connection")
    forwarding = forwarding_names(headers)
    if not forwarding and _OPTIONS.issuperset(options):
        return headers
    drop = {*_disbelieved(forwarding, trusted, source)}
    drop |= {name for name in options if name not in forwarding and not _is_essential(name)}
    fields = [field for field in headers.triples if field[0] not in drop]
    received = Headers.parsed(fields)
    if not _OPTIONS.issuperset(options):
        kept = [option for option in headers.elements("connection") if option.lower() in _OPTIONS]
        received.remove("connection")
        if kept:
            received.add("Connection", ", ".join(kept))
    return received


def _is_essential(name: str) -> bool:
    return name in _ESSENTIAL or name.startswith("sec-websocket-")


def _disbelieved(forwarding: Collection[str], trusted: bool, source: str | None) -> Collection[str]:
    """Which of a request's forwarding fields its peer may not say.

    A proxy that writes X-Forwarded-For lets a client's Forwarded through, and the other way round.
    So of a trusted peer one family is believed: the one that `source` names, else X-Forwarded-*
    where X-Forwarded-For came in, else Forwarded where that did. A proxy writes names with
    hyphens, and never Proxy: other spellings, and that field, are the client's.
    """
    if not trusted:
        return forwarding
    if source is None:
        source = next((name for name in ("x-forwarded-for", "forwarded") if name in forwarding), "")

    def believed(name: str) -> bool:
        if name == "proxy" or name != hyphenated(name):
            return False
        return not source or (name == "forwarded") == (source == "forwarded")

    return [name for name in forwarding if not believed(name)]


def without_reserved(headers: Headers, reserved: Collection[str]) -> Headers:
    """`headers` without the fields of these names (`hyphenated`), in any spelling."""
    kept = [field for field in headers.triples if hyphenated(field[0]) not in reserved]
    return headers if len(kept) == len(headers) else Headers.parsed(kept)


def add_certificate(
    headers: Headers, names: Mapping[str, str], certificate: ClientCertificate
) -> None:
    """Add the fields that tell of a client's certificate; `names` has the field for each value."""
    for what, name in names.items():
        headers.add(name, TOLD[what](certificate))
