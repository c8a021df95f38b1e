"""Sticky sessions as rules: which server a cookie leads to, and when which cookie is set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http.cookies import SimpleCookie
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import Address, Headers, Request
from easews.schema import complete, errors
from easews.upstream import Pool, Server
from easews.upstream.balance import sticky as module
from easews.upstream.balance.sticky import our_secret, sticky_faults, use_secret

SCHEMA = {"$ref": "urn:easews:common#/$defs/stickySession"}
SECRET = "correct horse battery"


def spec(mode: str = "DurationBased", **written: Any) -> dict[str, Any]:
    written = {"mode": mode, **written}
    assert not [*errors(SCHEMA, written)]
    completed: dict[str, Any] = complete(SCHEMA, written)
    return completed


def pool_of(hosts: Iterable[str], sticky: dict[str, Any], policy: str = "roundRobin") -> Pool:
    servers = [{"url": f"ws://{host}", "keepHost": False} for host in hosts]
    return Pool.from_spec(
        {"servers": servers, "loadBalance": {"policy": policy, "stickySession": sticky}}
    )


def sending(*cookies: str, scheme: str = "http", ip: str = "::1") -> Request:
    headers = Headers([("Cookie", "; ".join(cookies))] if cookies else [])
    return Request("GET", "/", headers, scheme=scheme, client=Address(ip))


def asked(pool: Pool, request: Request, tried: Sequence[Server] = ()) -> Server:
    attempt = pool.next(request, tried)
    assert attempt is not None
    attempt.over()
    return attempt.server


def answer(pool: Pool, request: Request, *cookies: str, server: Server | None = None) -> list[str]:
    """The cookies that the answer to `request` sets, if the server sets these ones."""
    headers = Headers([("Set-Cookie", line) for line in cookies])
    pool.stick(request, server or asked(pool, request), headers)
    return headers.get_all("set-cookie")[len(cookies) :]


def pair(line: str) -> str:
    """What a client sends back."""
    return line.partition(";")[0]


def test_a_client_goes_back_to_the_server_whose_cookie_it_has() -> None:
    pool = pool_of("abc", spec())
    first = asked(pool, sending())
    (line,) = answer(pool, sending(), server=first)
    assert {asked(pool, sending("a=b", pair(line))) for _ in range(9)} == {first}
    assert {asked(pool, sending()).host for _ in range(9)} == {*"abc"}


def test_processes_that_share_a_secret_know_each_others_cookies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_our_secret", b"")  # and as it was afterwards

    def cookie_of(secret: bytes) -> str:
        use_secret(secret)
        assert our_secret() == secret  # which is what others are given
        return pair(*answer(pool_of("a", spec()), sending()))

    ours = cookie_of(b"ours")
    assert cookie_of(b"other") != ours
    assert cookie_of(b"ours") == ours
    assert pair(*answer(pool_of("a", spec(secret=SECRET)), sending())) != ours


def test_the_cookie_has_the_attributes_of_easegress_and_safe_ones() -> None:
    (line,) = answer(pool_of("ab", spec()), sending())
    name, _, rest = line.partition("=")
    assert name == "EG_SESSION"
    assert rest.partition("; ")[2] == "Path=/; Max-Age=7200; HttpOnly; SameSite=Lax"
    headers = Headers()
    pool_of("a", spec()).stick(sending(), Server.at("ws://a"), headers)
    assert [name for name, _ in headers] == ["Set-Cookie"]
    assert [*SimpleCookie(line)] == ["EG_SESSION"]  # the standard library reads it


def test_all_attributes_can_be_chosen() -> None:
    chosen: dict[str, Any] = {
        "path": "/app",
        "domain": "example.org",
        "httpOnly": False,
        "sameSite": "Strict",
    }
    sticky = spec(lbCookieName="node", lbCookieExpire="5m", secure=True, **chosen)
    (line,) = answer(pool_of("ab", sticky), sending())
    assert line.startswith("node=")
    expected = "Path=/app; Domain=example.org; Max-Age=300; SameSite=Strict; Secure"
    assert line.partition("; ")[2] == expected


@pytest.mark.parametrize(
    ("written", "scheme", "secure"),
    [
        ({}, "http", False),
        ({}, "https", True),
        ({"secure": False}, "https", False),
        ({"secure": True}, "http", True),
        ({"sameSite": "None"}, "http", True),
    ],
)
def test_the_cookie_is_secure_where_the_client_came_over_tls(
    written: dict[str, Any], scheme: str, secure: bool
) -> None:
    (line,) = answer(pool_of("ab", spec(**written)), sending(scheme=scheme))
    assert line.endswith("; Secure") is secure


def test_a_trusted_proxy_says_whether_the_client_came_over_tls() -> None:
    headers = Headers([("X-Forwarded-Proto", "https")])
    request = Request("GET", "/", headers, vouched={"x-forwarded-proto"})
    (line,) = answer(pool_of("ab", spec()), request)
    assert line.endswith("; Secure")


def test_the_value_shows_no_address_and_depends_on_the_secret() -> None:
    server = Server.at("ws://10.1.2.3:9000")
    values = [
        answer(pool_of(["10.1.2.3:9000"], spec(secret=secret)), sending(), server=server)
        for secret in (SECRET, SECRET, SECRET[::-1])
    ]
    assert values[0] == values[1] != values[2]
    assert "10.1.2.3" not in values[0][0]


def test_a_cookie_holds_in_every_pool_with_that_server_and_secret() -> None:
    for sticky in (spec(), spec(secret=SECRET)):
        (line,) = answer(pool_of("abc", sticky), sending(), server=Server.at("ws://b"))
        reloaded = pool_of("xbyz", sticky, policy="random")
        assert {asked(reloaded, sending(pair(line))).host for _ in range(9)} == {"b"}


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value[:-1] + ("A" if value[-1] != "A" else "B"),
        lambda value: value[:8],
        lambda value: value + "x",
        lambda value: f'"{value}"',
        lambda value: "",
        lambda value: "\xe4" * 24,
    ],
)
def test_a_value_that_we_have_not_made_leads_nowhere(change: Any) -> None:
    pool = pool_of("abc", spec())
    (line,) = answer(pool, sending(), server=Server.at("ws://b"))
    forged = "EG_SESSION=" + change(pair(line).partition("=")[2])
    assert {asked(pool, sending(forged)).host for _ in range(9)} == {*"abc"}


def test_of_several_cookies_the_first_that_leads_somewhere_counts() -> None:
    pool = pool_of("abc", spec())
    (line,) = answer(pool, sending(), server=Server.at("ws://b"))
    both = sending("EG_SESSION=of-another-path", pair(line))
    assert {asked(pool, both).host for _ in range(9)} == {"b"}


@pytest.mark.parametrize("expire", ["1s", "2h"])
def test_an_expiry_is_renewed_with_each_answer(expire: str) -> None:
    pool = pool_of("abc", spec(lbCookieExpire=expire))
    (line,) = answer(pool, sending())
    assert answer(pool, sending(pair(line))) == [line]


def test_a_cookie_without_expiry_is_set_once() -> None:
    pool = pool_of("abc", spec(lbCookieExpire=0))
    (line,) = answer(pool, sending())
    assert "Max-Age" not in line
    assert answer(pool, sending(pair(line))) == []


def test_the_policy_chooses_for_a_client_without_a_cookie() -> None:
    pool = pool_of("abcdef", spec(), policy="ipHash")
    first = asked(pool, sending(ip="192.0.2.7"))
    assert {asked(pool, sending(ip="192.0.2.7")) for _ in range(9)} == {first}
    second = asked(pool, sending(ip="192.0.2.7"), tried=[first])
    assert second != first
    assert {asked(pool, sending(ip="192.0.2.7"), tried=[first]) for _ in range(9)} == {second}


def test_a_client_whose_server_fails_is_led_to_another_and_stays_there() -> None:
    pool = pool_of("abc", spec(lbCookieExpire=0))
    first = asked(pool, sending())
    (line,) = answer(pool, sending(), server=first)
    second = asked(pool, sending(pair(line)), tried=[first])
    (replaced,) = answer(pool, sending(pair(line)), server=second)
    assert second != first
    assert {asked(pool, sending(pair(replaced))) for _ in range(9)} == {second}


def test_a_server_that_is_not_usable_keeps_no_client() -> None:
    pool = pool_of("abc", spec())
    first = asked(pool, sending())
    (line,) = answer(pool, sending(), server=first)
    (member,) = (one for one in pool.members if one.server == first)
    member.usable = False
    pool.changed()
    assert asked(pool, sending(pair(line))) != first
    member.usable = True
    pool.changed()
    assert asked(pool, sending(pair(line))) == first


def test_a_server_that_is_full_keeps_only_the_sessions_that_it_has() -> None:
    pool = pool_of("abc", spec())
    first = asked(pool, sending())
    (line,) = answer(pool, sending(), server=first)
    (member,) = (one for one in pool.members if one.server == first)
    member.limit = member.standing.active + 1  # others may have sessions at a server of this name
    session = pool.next(sending(pair(line)))
    assert session is not None
    assert session.server == first
    assert asked(pool, sending(pair(line))) != first
    session.over()
    assert asked(pool, sending(pair(line))) == first


def test_a_cookie_follows_the_applications_own() -> None:
    pool = pool_of("abc", spec("ApplicationBased", appCookieName="sid"))
    assert answer(pool, sending()) == []
    assert answer(pool, sending(), "other=1; Path=/", "xsid=1") == []
    (line,) = answer(pool, sending(), "other=1", "sid=7; Path=/")
    server = asked(pool, sending(pair(line)))
    assert answer(pool, sending(pair(line), "sid=7"), server=server) == []


def test_a_client_that_was_led_elsewhere_gets_that_servers_cookie_at_once() -> None:
    pool = pool_of("abc", spec("ApplicationBased", appCookieName="sid"))
    a, b = Server.at("ws://a"), Server.at("ws://b")
    (line,) = answer(pool, sending(), "sid=7", server=a)
    (moved,) = answer(pool, sending(pair(line), "sid=7"), server=b)
    assert asked(pool, sending(pair(moved), "sid=7")).host == "b"


def test_a_hash_of_the_applications_cookie_chooses_and_no_cookie_is_set() -> None:
    pool = pool_of("abc", spec("CookieConsistentHash", appCookieName="sid"))
    chosen = {user: asked(pool, sending(f"sid={user}")) for user in range(60)}
    assert {server.host for server in chosen.values()} == {*"abc"}
    assert chosen == {user: asked(pool, sending(f"sid={user}")) for user in range(60)}
    assert {asked(pool, sending()).host for _ in range(9)} == {*"abc"}  # by the policy
    assert answer(pool, sending("sid=1"), "sid=1") == []


def test_a_pool_of_one_server_sets_the_cookie_for_when_there_are_more() -> None:
    (line,) = answer(pool_of("a", spec()), sending())
    assert asked(pool_of("xyza", spec()), sending(pair(line))).host == "a"


def test_a_pool_without_sticky_sessions_sets_no_cookie() -> None:
    assert answer(Pool([Server.at("ws://a")]), sending()) == []


HOSTS = st.sets(st.sampled_from([f"s{number}" for number in range(12)]))
POLICIES = ["roundRobin", "random", "leastConnections", "powerOfTwo", "ipHash", "consistentHash"]


@given(
    home=st.sampled_from([f"s{number}" for number in range(12)]),
    crowds=st.lists(HOSTS, max_size=6),
    policy=st.sampled_from(POLICIES),
)
def test_a_client_stays_while_other_servers_come_and_go(
    home: str, crowds: list[set[str]], policy: str
) -> None:
    pool = pool_of([home], spec(), policy)
    (line,) = answer(pool, sending())
    for crowd in crowds:
        pool.replace(Server.at(f"ws://{host}") for host in sorted({*crowd, home}))
        assert asked(pool, sending(pair(line))).host == home


@pytest.mark.parametrize("policy", POLICIES)
def test_a_cookie_leads_back_to_a_server_with_another_weight(policy: str) -> None:
    pool = pool_of(["a", "b"], spec(), policy)
    (line,) = answer(pool, sending())
    home = asked(pool, sending(pair(line))).host
    pool.replace(Server.at(f"ws://{host}", weight=1 + (host == home)) for host in "ab")
    assert asked(pool, sending(pair(line))).host == home
    assert [pair(again) for again in answer(pool, sending(pair(line)))] == [pair(line)]


@given(user=st.integers(), before=HOSTS, after=HOSTS)
def test_a_hashed_client_moves_only_to_new_servers_or_away_from_lost_ones(
    user: int, before: set[str], after: set[str]
) -> None:
    pool = pool_of(sorted({*before, "s0"}), spec("CookieConsistentHash", appCookieName="sid"))
    old = asked(pool, sending(f"sid={user}")).host
    pool.replace(Server.at(f"ws://{host}") for host in sorted({*after, "s0"}))
    new = asked(pool, sending(f"sid={user}")).host
    assert new == old or old not in {*after, "s0"} or new not in {*before, "s0"}


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("mode", spec("ApplicationBased")),
        ("mode", spec("CookieConsistentHash")),
        ("appCookieName", spec(appCookieName="sid")),
        ("lbCookieName", spec("ApplicationBased", appCookieName="sid", lbCookieName="sid")),
        ("secure", spec(sameSite="None", secure=False)),
        ("lbCookieName", spec(lbCookieName="__Secure-node")),
        ("lbCookieName", spec(lbCookieName="__Host-node")),
        ("lbCookieName", spec(lbCookieName="__Host-node", secure=True, path="/a")),
        ("lbCookieName", spec(lbCookieName="__Host-node", secure=True, domain="example.org")),
    ],
)
def test_fields_that_do_not_agree_are_faults(field: str, written: dict[str, Any]) -> None:
    (fault,) = sticky_faults(written, ("stickySession",))
    assert fault.path == ("stickySession", field)
    assert fault.accepted


@pytest.mark.parametrize(
    "written",
    [
        spec(),
        spec("ApplicationBased", appCookieName="sid"),
        spec(lbCookieName="__Host-node", secure=True),
        spec(sameSite="None"),
    ],
)
def test_fields_that_agree_have_no_faults(written: dict[str, Any]) -> None:
    assert not [*sticky_faults(written, ())]


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"mode": "Sticky"},
        {"mode": "DurationBased", "lbCookieName": "a b"},
        {"mode": "DurationBased", "secret": "too short"},
        {"mode": "DurationBased", "path": "/a; Domain=evil"},
        {"mode": "DurationBased", "path": "a"},
        {"mode": "DurationBased", "domain": "a.example; x"},
        {"mode": "DurationBased", "sameSite": "none"},
        {"mode": "DurationBased", "lbCookieExpire": "forever"},
    ],
)
def test_the_schema_refuses_what_makes_no_sense(written: dict[str, Any]) -> None:
    assert [*errors(SCHEMA, written)]
