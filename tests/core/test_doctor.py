"""The rules of `easews doctor`: from what was seen at the hops to what is wrong, and its report."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import anyio
import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews.cli.doctor.asking import (
    TITLES,
    Client,
    handshake_request,
    plain_request,
    target_of,
    variants_for,
)
from easews.cli.doctor.findings import Finding
from easews.cli.doctor.handshakes import handshake_seen
from easews.cli.doctor.hops import compared, findings, hop_findings
from easews.cli.doctor.products import named, product_of
from easews.cli.doctor.report import as_json, text
from easews.cli.doctor.seen import (
    AddressSeen,
    Answer,
    Handshake,
    Hop,
    IdleSeen,
    Lost,
    SessionSeen,
    TlsSeen,
)
from easews.cli.doctor.talk import Session
from easews.cli.report import details
from easews.http import Headers

KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
SWITCHED = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT))
CLIENT = Client("chat.example", "https://chat.example")


def answer(status: int, body: str = "", **fields: str) -> Answer:
    headers = Headers((name.replace("_", "-"), value) for name, value in fields.items())
    return Answer(status, "Reason", "1.1", headers, body.encode())


OPENED = Handshake("browser", Answer(101, "", "1.1", Headers(SWITCHED)), deflate="")
WELL = Hop(
    1,
    "ws://chat.example/ws",
    addresses=(AddressSeen("192.0.2.1", 0.01),),
    plain=answer(426),
    handshakes={"browser": OPENED},
    session=SessionSeen(pong=0.001, code=1000),
)


class Flood:
    """A connection on which the same comes again and again; the task gets no end of it."""

    def __init__(self, data: bytes, times: int) -> None:
        self.left = [data] * times

    async def receive(self, most: int = 0) -> bytes:
        if not self.left:
            raise anyio.EndOfStream
        return self.left.pop()

    async def send(self, data: bytes) -> None:
        pass


@pytest.mark.parametrize(
    "begins",
    [b"", b"\x02\x00", b"\x82\x7f\x00\x00\x00\x00\xff\xff\xff\xff"],
    ids=["many", "parts", "huge"],
)
async def test_what_a_server_floods_the_client_with_is_not_kept(begins: bytes) -> None:
    first = b"\x00" if begins else b"\x82"
    frames: Any = Flood(first + b"\x7e\x40\x00" + bytes(0x4000), 1000)
    session = Session(frames, OPENED, begins)
    while not session.gone:
        await session.pump()
    assert session.malformed == ""
    kept = sum(map(len, [*session.messages, *session._partial]))
    assert kept == 1024 * 1024


def refused(heard: Answer | Lost, *works: str, plain: Answer | Lost | None = None) -> Hop:
    """A hop whose browser's handshake got this; these variants work."""
    others = {name: replace(OPENED, variant=name) for name in works}
    handshakes = {"browser": Handshake("browser", heard), **others}
    return replace(WELL, plain=plain, handshakes=handshakes, session=None)


def the_problem(hop: Hop) -> Finding:
    (found,) = [one for one in hop_findings(hop) if one.problem]
    return found


def change_of(finding: Finding) -> str:
    return "\n".join(line for one in finding.change for line in (one.text, *one.lines))


def test_a_hop_where_all_is_well_has_no_finding() -> None:
    assert hop_findings(WELL) == []


WORDS_OF_LOST_UPGRADES = [
    "Failed to open a WebSocket connection: missing Connection header.",
    "Failed to open a WebSocket connection: unsupported HTTP version: HTTP/1.0.",
    'Can "Upgrade" only to "WebSocket".',
    'No WebSocket UPGRADE hdr: None\n Can "Upgrade" only to "WebSocket".',
    '"Connection" must be "Upgrade".',
    "Bad Request\nwebsocket: the client is not using the websocket protocol: 'upgrade' token not"
    " found in 'Connection' header",
    'WebSocket protocol violation: Connection header "close" does not contain Upgrade',
    "Upgrade Required",
    "Invalid Upgrade header",
    "`Connection` header did not include 'upgrade'",
]


@pytest.mark.parametrize("words", WORDS_OF_LOST_UPGRADES)
def test_words_of_servers_for_a_lost_upgrade_are_known(words: str) -> None:
    found = the_problem(refused(answer(400, words)))
    assert found.code == "upgrade-lost"
    assert "find the proxy in front" in change_of(found)


@pytest.mark.parametrize(
    ("fields", "body", "product", "change"),
    [
        ({"Server": "nginx/1.22.1"}, "", "nginx", "proxy_set_header Upgrade $http_upgrade;"),
        ({"Server": "Apache/2.4.66 (Unix)"}, "", "Apache", "upgrade=websocket"),
        ({"Server": "envoy"}, "", "Envoy", "upgrade_type: websocket"),
        ({"Via": "1.1 Caddy"}, "", "Caddy", "versions h2c"),
        ({"Server": "cloudflare", "CF_RAY": "8"}, "", "Cloudflare", "WebSockets on"),
        ({"Server": "Microsoft-IIS/10.0"}, "", "IIS", "WebSocket Protocol"),
        ({"Via": "1.1 varnish"}, "", "Fastly or Varnish", "return (pipe)"),
        ({"Via": "1.1 a.cloudfront.net (CloudFront)"}, "", "Amazon CloudFront", "Sec-WebSocket"),
        ({}, "426 Upgrade Required: no (request 01HZ)\n", "easews", "WebSocketProxy"),
    ],
)
def test_who_drops_the_upgrade_is_named_with_what_to_change(
    fields: dict[str, str], body: str, product: str, change: str
) -> None:
    heard = answer(426, body, **fields)
    assert product_of(heard) == product
    found = the_problem(refused(heard))
    assert found.code == "upgrade-lost"
    assert change in change_of(found)


@pytest.mark.parametrize(
    ("body", "product"),
    [
        ("<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this"
         " request.\n</body></html>", "HAProxy"),
        ("<h1>504 Gateway Time-out</h1>\nThe server didn't respond in time.", "HAProxy"),
        ("<html><body><h1>400 Bad request</h1>\nYour browser sent an invalid request.", "HAProxy"),
        ("<hr><center>nginx</center>", "nginx"),
        ("no healthy upstream", "Envoy"),
        ("404 page not found\n", "Traefik or a Go server"),
        ("Bad Gateway", "Traefik"),
        ('{"code":0,"message":"Transport unknown"}', "Engine.IO"),
        ('{"type": "about:blank", "status": 403, "requestId": "01HZ"}', "easews"),
        ("<pre>Cannot GET /ws</pre>", "Express"),
        ("hello", ""),
    ],
)  # fmt: skip
def test_error_pages_give_their_product_away(body: str, product: str) -> None:
    assert product_of(answer(503, body)) == product


def test_a_products_version_is_told_where_the_answer_has_it() -> None:
    assert named(answer(200, Server="nginx/1.22.1")) == "nginx 1.22.1"
    library = answer(426, Server="Python/3.11 websockets/15.0.1")
    assert named(library) == "websockets (Python) 15.0.1"
    assert named(Lost("silent")) == named(answer(200)) == ""


@pytest.mark.parametrize(
    ("hop", "code", "change"),
    [
        (refused(answer(403, Server="envoy")), "upgrade-refused", "upgrade_configs:"),
        (refused(answer(403), "no-origin"), "origin-refused", "CheckOrigin"),
        (
            refused(answer(403, "Cross origin websockets not allowed")),
            "origin-refused",
            "Host on",
        ),
        (
            refused(answer(403, "403: the Origin of this handshake is refused: x (request 0)\n")),
            "origin-refused",
            "originPatterns",
        ),
        (refused(answer(403)), "forbidden", "log"),
        (refused(answer(404), "own-host"), "host-expected", "Host"),
        (refused(answer(400), "no-deflate"), "deflate-refused", "firewall"),
        (refused(answer(400), "no-subprotocol"), "subprotocol-refused", "firewall"),
        (refused(answer(403), "bare"), "browser-refused", "firewall"),
        (refused(answer(400), plain=answer(400)), "upgrade-lost", "find the proxy"),
        (refused(answer(400), plain=answer(200, "x")), "bad-request", "log"),
        (refused(answer(426, Sec_WebSocket_Version="8")), "version-refused", "RFC 6455"),
        (refused(answer(301, Location="https://chat.example/ws")), "redirected", "wss://"),
        (refused(answer(301, Location="/ws/")), "redirected", "with a / at its end"),
        (refused(answer(302, Location="/login?next=%2Fws")), "redirected", "cookie"),
        (refused(answer(302, Location="/elsewhere")), "redirected", "/elsewhere"),
        (refused(answer(401)), "unauthorized", "--header"),
        (refused(answer(404)), "not-found", "path"),
        (refused(answer(405)), "method-refused", "path"),
        (refused(answer(429)), "too-many", "limit"),
        (refused(answer(431)), "headers-too-large", "cookies"),
        (refused(answer(502, Server="nginx")), "bad-gateway", "proxy_pass"),
        (refused(answer(503, Server="awselb/2.0")), "unavailable", "healthy target"),
        (refused(answer(504, Server="nginx")), "gateway-timeout", "proxy_read_timeout"),
        (refused(answer(200, "<html>", Server="nginx")), "no-websocket-here", "$http_upgrade"),
        (refused(answer(418)), "refused", "log"),
        (refused(answer(400, "The plain HTTP request was sent to HTTPS port")), "tls-expected",
         "wss://"),
        (refused(Lost("silent")), "no-answer", "--via"),
        (refused(Lost("reset")), "handshake-reset", "log"),
        (refused(Lost("closed")), "handshake-closed", "log"),
        (refused(Lost("malformed")), "not-http", "wss://"),
    ],
)  # fmt: skip
def test_each_refusal_is_explained(hop: Hop, code: str, change: str) -> None:
    found = the_problem(hop)
    assert found.code == code
    assert change in change_of(found)


def test_a_page_that_a_plain_get_gets_as_well_is_said_to_be_the_same() -> None:
    page = answer(200, "<html>at 12:01:02", Content_Type="text/html")
    same = answer(200, "<html>at 12:01:03", Content_Type="text/html")
    assert "the same that a plain GET gets" in the_problem(refused(page, plain=same)).means
    other = answer(200, "<html>other", Content_Type="text/html")
    assert "the same" not in the_problem(refused(page, plain=other)).means


@pytest.mark.parametrize(
    ("session", "codes"),
    [
        (SessionSeen(pong=None, code=1000), ["ping-unanswered"]),
        (SessionSeen(pong=0.1, code=None), ["close-unanswered"]),
        (SessionSeen(pong=0.1, code=1000, sent=True), ["message-unanswered"]),
        (SessionSeen(pong=0.1, code=1000, sent=True, reply="", expected=True), []),
        (
            SessionSeen(pong=0.1, code=1000, sent=True, reply="x", expected=False),
            ["message-unexpected"],
        ),
        (SessionSeen(early=True, code=1008), ["closed-at-once"]),
        (SessionSeen(early=True), ["closed-at-once"]),
        (SessionSeen(malformed="reserved bits"), ["not-frames"]),
    ],
)
def test_a_session_that_goes_wrong_is_explained(session: SessionSeen, codes: list[str]) -> None:
    found = hop_findings(replace(WELL, session=session))
    assert [one.code for one in found] == codes


def test_a_close_code_is_told_in_words() -> None:
    hop = replace(WELL, session=SessionSeen(early=True, code=1011, reason="boom"))
    found = the_problem(hop)
    assert found.seen == "Close 1011 boom"
    assert "the server failed" in found.means


@pytest.mark.parametrize(
    ("idle", "code", "words"),
    [
        (IdleSeen(70, ended=60.0), "idle-closed", "nginx (proxy_read_timeout)"),
        (IdleSeen(70, ended=55.2), "idle-closed", "Heroku"),
        (IdleSeen(70, ended=33.0), "idle-closed", "1006"),
        (IdleSeen(70, ended=33.0, code=1001), "idle-closed", "application"),
        (IdleSeen(70, pong=False), "idle-dead", "NAT"),
    ],
)
def test_an_idle_timeout_is_explained(idle: IdleSeen, code: str, words: str) -> None:
    found = the_problem(replace(WELL, idle=idle))
    assert found.code == code
    assert words in found.means
    assert change_of(found)


def test_pings_of_the_server_are_a_note() -> None:
    (found,) = hop_findings(replace(WELL, idle=IdleSeen(70, pings=3)))
    assert (found.code, found.problem) == ("server-pings", False)


@pytest.mark.parametrize(
    ("variant", "code", "problem"),
    [
        ("no-origin", "origin-needed", False),
        ("no-subprotocol", "subprotocol-needed", False),
        ("respelled", "spelling-refused", True),
        ("no-deflate", "no-deflate-refused", True),
        ("bare", "bare-refused", True),
    ],
)
def test_a_variant_that_is_refused_where_the_browser_is_not(
    variant: str, code: str, problem: bool
) -> None:
    other = Handshake(variant, answer(400))
    (found,) = hop_findings(replace(WELL, handshakes={"browser": OPENED, variant: other}))
    assert (found.code, found.problem) == (code, problem)


def test_a_foreign_page_that_is_let_in_is_noted() -> None:
    foreign = replace(OPENED, variant="foreign-origin")
    hop = replace(WELL, handshakes={"browser": OPENED, "foreign-origin": foreign})
    assert [one.code for one in hop_findings(hop)] == ["any-origin"]


def test_a_subprotocol_that_is_ignored_is_a_problem() -> None:
    assert [one.code for one in hop_findings(WELL, ["chat"])] == ["subprotocol-ignored"]


@pytest.mark.parametrize(
    ("tls", "code"),
    [
        (TlsSeen("name", "mismatch", "TLSv1.3", ("a.example",)), "tls-name"),
        (TlsSeen("expired", "expired", "TLSv1.3"), "tls-expired"),
        (TlsSeen("untrusted", "unable", "TLSv1.3"), "tls-untrusted"),
        (TlsSeen("not-tls", "wrong version number"), "tls-not-tls"),
        (TlsSeen(version="TLSv1.3", days_left=3.0), "tls-expires-soon"),
    ],
)
def test_certificates_are_told_in_words(tls: TlsSeen, code: str) -> None:
    assert the_problem(replace(WELL, tls=tls)).code == code


def test_one_of_several_addresses_that_fails_is_told() -> None:
    addresses = (AddressSeen("2001:db8::1", 5, "no answer"), AddressSeen("192.0.2.1", 0.1))
    found = the_problem(replace(WELL, addresses=addresses))
    assert found.code == "address-unreachable"
    assert "2001:db8::1" in found.seen


# Hop by hop


def test_what_the_hop_behind_does_better_is_lost_in_front_of_it() -> None:
    outer = refused(answer(426, Server="nginx"))
    (found,) = findings([outer, replace(WELL, number=2)])
    assert (found.code, found.lost_at, found.follows) == ("upgrade-lost", 1, 0)


def test_what_fails_at_the_server_fails_in_front_of_it_too() -> None:
    outer = refused(answer(502, Server="nginx"))
    inner = Hop(2, "ws://127.0.0.1/", addresses=(AddressSeen("127.0.0.1", 0, "refused"),))
    first, second = findings([outer, inner])
    assert (first.code, first.hop) == ("unreachable", 2)
    assert (second.code, second.follows) == ("bad-gateway", 2)


def test_a_late_problem_behind_does_not_explain_an_early_one_in_front() -> None:
    outer = refused(answer(426, Server="nginx"))
    inner = replace(WELL, number=2, session=SessionSeen(pong=0.1, code=None))
    found = {one.code: one for one in findings([outer, inner])}
    assert found["upgrade-lost"].lost_at == 1
    assert found["close-unanswered"].hop == 2


def test_a_note_on_several_hops_is_told_once_at_the_innermost() -> None:
    noted = replace(WELL, idle=IdleSeen(70, pings=3))
    (found,) = findings([noted, replace(noted, number=2)])
    assert (found.code, found.hop, found.follows) == ("server-pings", 2, 0)


def test_the_hops_are_compared_in_a_table() -> None:
    rows = compared([refused(answer(426)), replace(WELL, number=2)])
    assert rows[0] == ("", "hop 1", "hop 2")
    assert ("handshake", "426", "ok") in rows
    assert "TLS" not in [row[0] for row in rows]


# What is sent, and what an answer 101 is worth


@pytest.mark.parametrize("name", TITLES)
def test_each_handshake_is_valid_http_and_differs_in_what_its_name_says(name: str) -> None:
    client = replace(CLIENT, protocols=("chat", "superchat"), headers=(("X-Token", "a"),))
    target = target_of("ws://10.0.0.5:8080/ws?room=1")
    variants = {one.name: one for one in variants_for(target, client)}
    sent = parsed(handshake_request(variants[name], target, client, KEY))
    browser = parsed(handshake_request(variants["browser"], target, client, KEY))
    assert sent["x-token"] == "a"
    assert (sent["host"] == "10.0.0.5:8080") == (name == "own-host")
    assert {key.lower() for key in sent["upgrade"].split(",")} == {"websocket"}
    different = {key for key in browser if browser[key] != sent.get(key)}
    expected = {
        "browser": set(),
        "no-origin": {"origin"},
        "foreign-origin": {"origin"},
        "no-deflate": {"sec-websocket-extensions"},
        "no-subprotocol": {"sec-websocket-protocol"},
        "respelled": {"upgrade", "connection"},
        "own-host": {"host"},
    }
    assert name == "bare" or different == expected[name]


def parsed(request: bytes) -> dict[str, str]:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(request)
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    return {name.decode(): value.decode() for name, value in event.headers}


def test_a_given_field_replaces_the_browsers_own() -> None:
    client = replace(CLIENT, headers=(("cookie", "session=1"), ("User-Agent", "me")))
    target = target_of("wss://chat.example/ws")
    (browser, *_) = variants_for(target, client)
    for request in (handshake_request(browser, target, client, KEY), plain_request(target, client)):
        assert parsed(request)["user-agent"] == "me"
        assert request.lower().count(b"cookie:") == 1


def test_a_query_is_sent_and_not_shown() -> None:
    target = target_of("https://chat.example:8443/ws?token=secret")
    assert target.target == "/ws?token=secret"
    assert target.shown == "wss://chat.example:8443/ws?..."
    assert target.origin == "https://chat.example:8443"


@pytest.mark.parametrize(
    ("fields", "flaws"),
    [
        (SWITCHED, ()),
        (SWITCHED[1:], ("upgrade-header",)),
        ((SWITCHED[0], SWITCHED[2]), ("connection-header",)),
        (SWITCHED[:2], ("accept",)),
        ((*SWITCHED, ("Sec-WebSocket-Protocol", "x")), ("foreign-subprotocol",)),
        ((*SWITCHED, ("Sec-WebSocket-Extensions", "x")), ("foreign-extension",)),
        ((*SWITCHED, ("Sec-WebSocket-Protocol", "chat")), ()),
        ((*SWITCHED, ("Sec-WebSocket-Extensions", "permessage-deflate")), ()),
    ],
)
def test_an_answer_101_is_checked(
    fields: tuple[tuple[str, str], ...], flaws: tuple[str, ...]
) -> None:
    heard = Answer(101, "", "1.1", Headers(fields))
    seen = handshake_seen("browser", heard, KEY, ["chat"], offered=True)
    assert seen.flaws == flaws
    found = [one.code for one in hop_findings(replace(WELL, handshakes={"browser": seen}))]
    assert [f"answer-{flaw}" for flaw in flaws] == [code for code in found if "answer" in code]


def test_an_extension_that_was_not_offered_is_a_flaw() -> None:
    fields = (*SWITCHED, ("Sec-WebSocket-Extensions", "permessage-deflate"))
    heard = Answer(101, "", "1.1", Headers(fields))
    assert handshake_seen("bare", heard, KEY, [], offered=False).flaws == ("foreign-extension",)


# The report

words = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=200)
answers = st.builds(
    Answer,
    st.integers(100, 599),
    words,
    st.sampled_from(["1.0", "1.1"]),
    st.dictionaries(
        st.sampled_from(["Server", "Via", "Location", "Content-Type", "Sec-WebSocket-Version"]),
        words,
    ).map(lambda fields: Headers(fields.items())),
    st.binary(max_size=200) | st.sampled_from([word.encode() for word in WORDS_OF_LOST_UPGRADES]),
)
losses = st.builds(
    Lost, st.sampled_from(["silent", "closed", "reset", "malformed", "unreachable"]), words
)
heard = answers | losses


@st.composite
def seen_hops(draw: st.DrawFn) -> Hop:
    names = draw(st.lists(st.sampled_from([*TITLES]), unique=True))
    handshakes = {
        name: handshake_seen(name, draw(heard), KEY, ["chat"], offered=True) for name in names
    }
    return Hop(
        1,
        "ws://chat.example/",
        draw(st.booleans()),
        draw(st.just("") | words),
        draw(st.lists(st.builds(AddressSeen, words, st.floats(0, 9), words)).map(tuple)),
        draw(st.none() | st.builds(TlsSeen)),
        draw(st.none() | heard),
        handshakes,
        draw(st.none() | st.builds(SessionSeen, reply=st.none() | words, malformed=words)),
        draw(st.none() | st.builds(IdleSeen, st.floats(0, 99))),
    )


@given(st.lists(seen_hops(), min_size=1, max_size=3), st.none() | st.integers(20, 200))
def test_whatever_is_seen_has_a_report(hops: list[Hop], width: int | None) -> None:
    numbered = [replace(hop, number=number) for number, hop in enumerate(hops, 1)]
    found = findings(numbered, ["chat"])
    shown = text(numbered, found, width, colour=False)
    assert all(one.title in shown for one in found)
    assert all(one.change for one in found if one.problem)
    assert ("No problem found" in shown) == (not any(one.problem for one in found))
    data: Any = json.loads(as_json(numbered, found))
    assert [one["code"] for one in data["findings"]] == [one.code for one in found]
    for hop in numbered:
        browser = hop.browser
        if browser is not None and not browser.works:
            assert any(one.problem and one.hop == hop.number for one in found)


def test_a_text_of_spaces_has_no_line_in_a_report() -> None:
    assert details([("seen", "  "), ("means", "it works")], 40, colour=False) == "  means  it works"


def test_the_report_names_problem_place_and_change() -> None:
    outer = refused(answer(426, "Upgrade Required", Server="nginx/1.22.1"))
    hops = [outer, replace(WELL, number=2)]
    shown = text(hops, findings(hops), None, colour=False)
    assert "Hop 1: ws://chat.example/ws  (nginx 1.22.1)" in shown
    assert "PROBLEM  The Upgrade of the handshake gets lost on the way" in shown
    assert "where   it gets lost at hop 1: at hop 2 it is well" in shown
    assert "proxy_http_version 1.1;" in shown
    assert shown.endswith("1 problem found")
    assert "\x1b[1;31mPROBLEM" in text(hops, findings(hops), 100, colour=True)


def test_a_report_has_all_that_was_seen() -> None:
    until = datetime(2027, 1, 2, tzinfo=UTC)
    hops = [
        replace(
            WELL,
            addresses=(AddressSeen("2001:db8::1", 5, "no answer"), AddressSeen("192.0.2.1", 0.1)),
            tls=TlsSeen("expired", "has expired", "TLSv1.3", ("a.example",), "CN=x", until),
            plain=Lost("reset", "the connection was reset"),
            handshakes={"browser": replace(OPENED, subprotocol="chat", deflate=None)},
            session=SessionSeen(0.002, 2, sent=True, reply="x", expected=False, code=4000),
            idle=IdleSeen(9, ended=3, code=1001, pings=1),
        ),
        replace(WELL, number=2, session=SessionSeen(malformed="bits"), idle=IdleSeen(9, ended=3)),
        replace(
            WELL, number=3, session=SessionSeen(sent=True, code=1000), idle=IdleSeen(9, pong=False)
        ),
        replace(WELL, number=4, plain=None, idle=IdleSeen(9), tls=TlsSeen(version="TLSv1.2")),
        replace(WELL, number=5, tls=TlsSeen("not-tls", "wrong"), handshakes={}, session=None),
    ]
    shown = text(hops, findings(hops), None, colour=False)
    for expected in (
        "2001:db8::1: no answer",
        "192.0.2.1: connects in 100 ms",
        "TLSv1.3, a certificate for a.example, until 2027-01-02, refused: has expired",
        "its last day is 2027-01-02",
        "the connection was reset",
        "as a browser: ok; no compression, subprotocol chat",
        "ping answered in 2 ms, 2 messages without asking, message answered, Close 4000",
        "bits, ping not answered, no Close (1006)",
        "ping not answered, message not answered, Close 1000",
        "ended after 3.0 s with Close 1001, with 1 ping of the server",
        "ended after 3.0 s without a Close",
        "9 s, then dead",
        "9 s, then alive",
        "no agreement, refused: wrong",
    ):
        assert expected in shown
    table = {row[0]: row[1:] for row in compared(hops)}
    assert table["message"] == ("changed", "-", "lost", "-", "-")
    assert table["ping"] == ("ok", "lost", "lost", "ok", "-")
    assert table["close"] == ("4000", "1006", "1000", "1000", "-")
    assert table["idle session"] == ("3.0 s", "3.0 s", "dead", "ok", "-")
    assert table["TLS"] == ("expired", "-", "-", "TLSv1.2", "not-tls")


def test_a_message_that_comes_back_is_ok_in_the_table() -> None:
    session = SessionSeen(0.1, sent=True, reply="x", code=1000)
    assert ("message", "ok") in compared([replace(WELL, session=session)])


def test_no_server_can_write_to_the_terminal() -> None:
    hop = replace(WELL, session=SessionSeen(early=True, code=4000, reason="\x1b[2J"))
    assert "\x1b" not in text([hop], findings([hop]), None, colour=False)


def test_a_packet_filter_is_told_from_a_port_that_nobody_has() -> None:
    for error, means in (("Connection refused", "no process listens"), ("no answer", "packets")):
        hop = Hop(1, "ws://a/", addresses=(AddressSeen("192.0.2.1", 0, error),))
        assert means in the_problem(hop).means
    assert the_problem(Hop(1, "ws://a/", dns_error="a: unknown")).code == "dns-failed"


def test_a_unix_socket_is_asked_with_a_host_of_its_own() -> None:
    target = target_of("unix:/run/app.sock:/ws")
    assert (target.authority, target.target, target.secure) == ("localhost", "/ws", False)
    assert target.shown == "unix:/run/app.sock:/ws"


def test_a_host_that_is_expected_is_no_problem_where_the_proxy_in_front_sends_it() -> None:
    inner = replace(refused(answer(404), "own-host"), number=2)
    (found,) = findings([WELL, inner])
    assert (found.code, found.problem) == ("host-expected", False)
    outer = refused(answer(404))
    assert [one.problem for one in findings([outer, inner])] == [True, True]


def test_a_page_over_http_1_0_is_told_as_such() -> None:
    old = replace(answer(200, "x"), version="1.0")
    assert "over HTTP/1.0" in the_problem(refused(old)).means
