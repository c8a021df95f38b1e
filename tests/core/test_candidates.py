"""Which pool takes a request: filters by headers, URLs and shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import HeaderMatch, Headers, Request, parse_network
from easews.addresses import Address
from easews.http.matching import TextMatch
from easews.schema import complete, errors
from easews.upstream import Candidates, candidate_faults

FILTER = {"$ref": "urn:easews:common#/$defs/poolFilter"}
MAIN: dict[str, Any] = {}


def pool(**written: Any) -> dict[str, Any]:
    assert not [*errors(FILTER, written)]
    return {"filter": complete(FILTER, written)}


def takes(request: Request, **written: Any) -> bool:
    return Candidates.from_spec([MAIN, pool(**written)]).choose(request) == 1


def asking(*headers: tuple[str, str], method: str = "GET", path: str = "/", ip: str = "::1") -> Any:
    return Request(method, path, Headers(headers), client=Address(ip))


def test_a_single_pool_takes_everything() -> None:
    assert Candidates.from_spec([MAIN]).choose(asking()) == 0


@pytest.mark.parametrize(
    ("match", "value", "taken"),
    [
        ({"exact": "yes"}, "yes", True),
        ({"exact": "yes"}, "yes!", False),
        ({"exact": "yes"}, "", False),
        ({"prefix": "beta-"}, "beta-7", True),
        ({"prefix": "beta-"}, "a beta-7", False),
        ({"regex": "v[0-9]"}, "the v3", True),
        ({"regex": "^v[0-9]$"}, "the v3", False),
        ({"regex": "^caf.$"}, "caf\xc3\xa9", True),
        ({"exact": "caf\ufffd"}, "caf\xe9", True),
        ({"empty": True}, "", True),
        ({"empty": True}, "no", False),
        ({"empty": True, "exact": "no"}, "no", True),
    ],
)
def test_a_header_matches_in_one_of_four_ways(
    match: Mapping[str, Any], value: str, taken: bool
) -> None:
    assert takes(asking(("x-canary", value)), headers={"X-Canary": match}) is taken


def test_an_absent_header_counts_as_empty() -> None:
    assert takes(asking(), headers={"X": {"empty": True}})
    assert not takes(asking(), headers={"X": {"prefix": "a"}})


def test_no_condition_on_headers_is_none() -> None:
    assert HeaderMatch({}, match_all=False).fits(Headers())


def test_one_line_of_a_header_is_enough() -> None:
    request = asking(("X", "a"), ("X", "b"))
    assert takes(request, headers={"X": {"exact": "b"}})


def test_one_header_is_enough_unless_all_have_to_match() -> None:
    headers = {"X": {"exact": "a"}, "Y": {"exact": "b"}}
    assert takes(asking(("Y", "b")), headers=headers)
    assert not takes(asking(("Y", "b")), headers=headers, matchAllHeaders=True)
    assert takes(asking(("Y", "b"), ("X", "a")), headers=headers, matchAllHeaders=True)


@pytest.mark.parametrize(
    ("method", "path", "taken"),
    [
        ("GET", "/beta/x?y", True),
        ("GET", "/b%65ta/", True),
        ("POST", "/beta/", False),
        ("POST", "/upload", True),
        ("GET", "/", False),
    ],
)
def test_one_url_has_to_match_with_its_methods(method: str, path: str, taken: bool) -> None:
    urls = [
        {"methods": ["GET"], "url": {"prefix": "/beta/"}},
        {"url": {"exact": "/upload"}},
    ]
    assert takes(asking(method=method, path=path), urls=urls) is taken


def test_all_that_a_filter_says_has_to_match() -> None:
    written = {
        "headers": {"X": {"exact": "a"}},
        "urls": [{"url": {"prefix": "/b"}}],
        "permil": 1000,
        "policy": "random",
    }
    assert takes(asking(("X", "a"), path="/b"), **written)
    assert not takes(asking(("X", "a"), path="/c"), **written)
    assert not takes(asking(path="/b"), **written)
    assert not takes(asking(("X", "a"), path="/b"), **{**written, "permil": 0})


def test_the_first_pool_that_matches_takes_a_request() -> None:
    by_header = pool(headers={"X": {"exact": "a"}})
    by_url = pool(urls=[{"url": {"exact": "/b"}}])
    candidates = Candidates.from_spec([by_header, MAIN, by_url])
    chosen = [
        candidates.choose(request)
        for request in (asking(("X", "a"), path="/b"), asking(path="/b"), asking())
    ]
    assert chosen == [0, 2, 1]


CLIENTS = [str(ip) for ip in parse_network("10.0.0.0/20")]


@pytest.mark.parametrize("policy", ["random", "ipHash", "headerHash"])
def test_a_share_is_about_what_it_says(policy: str) -> None:
    written = {"permil": 250, "policy": policy, "headerHashKey": "X-User"}
    candidates = Candidates.from_spec([MAIN, pool(**written)])
    taken = sum(candidates.choose(asking(("X-User", ip), ip=ip)) == 1 for ip in CLIENTS)
    assert 0.2 < taken / len(CLIENTS) < 0.3


@pytest.mark.parametrize("policy", ["random", "ipHash", "headerHash"])
def test_no_share_is_nobody_and_a_full_one_everybody(policy: str) -> None:
    for permil, taken in ((0, False), (1000, True)):
        written = {"permil": permil, "policy": policy, "headerHashKey": "X-User"}
        candidates = Candidates.from_spec([pool(**written), MAIN])
        chosen = {candidates.choose(asking(("X-User", ip), ip=ip)) == 0 for ip in CLIENTS}
        assert chosen == {taken}


@pytest.mark.parametrize("policy", ["ipHash", "headerHash"])
def test_two_pools_by_hash_get_a_share_each_of_what_reaches_them(policy: str) -> None:
    share = {"permil": 500, "policy": policy, "headerHashKey": "X-User"}
    candidates = Candidates.from_spec([pool(**share), pool(**share), MAIN])
    chosen = [candidates.choose(asking(("X-User", ip), ip=ip)) for ip in CLIENTS]
    assert 0.45 < chosen.count(0) / len(CLIENTS) < 0.55
    assert 0.2 < chosen.count(1) / len(CLIENTS) < 0.3


def test_clients_keep_their_side_in_every_process_and_release() -> None:
    share = {"permil": 100, "policy": "ipHash"}
    taken = [last for last in range(1, 60) if takes(asking(ip=f"10.0.0.{last}"), **share)]
    assert taken == [1, 17, 22, 33, 38, 40, 51]


def test_a_request_without_the_header_that_is_hashed_goes_to_the_main_pool() -> None:
    assert not takes(asking(), permil=1000, policy="headerHash", headerHashKey="X-User")


@given(ip=st.ip_addresses(), low=st.integers(0, 1000), more=st.integers(0, 1000))
def test_a_client_stays_in_a_pool_whose_share_grows(ip: Any, low: int, more: int) -> None:
    request = asking(ip=str(ip))
    if takes(request, permil=low, policy="ipHash"):
        assert takes(request, permil=min(low + more, 1000), policy="ipHash")


@pytest.mark.parametrize(
    ("path", "pools"),
    [
        ([], [pool(headers={"X": {"exact": "a"}})]),
        ([1], [MAIN, MAIN]),
        ([1, "filter"], [MAIN, pool()]),
        ([1, "filter"], [MAIN, pool(matchAllHeaders=True, headers={})]),
        ([1, "filter", "permil"], [MAIN, pool(permil=5)]),
        ([1, "filter", "policy"], [MAIN, pool(policy="random")]),
        ([1, "filter", "policy"], [MAIN, pool(policy="headerHash", permil=5)]),
        (
            [1, "filter", "headerHashKey"],
            [MAIN, pool(policy="ipHash", permil=5, headerHashKey="X")],
        ),
    ],
)
def test_filters_that_cannot_be_meant_so_are_faults(
    path: list[str | int], pools: list[dict[str, Any]]
) -> None:
    (fault,) = candidate_faults(pools, ("pools",))
    assert fault.path == ("pools", *path)
    assert fault.accepted


@pytest.mark.parametrize(
    "written",
    [
        {"headers": {"X": {}}},
        {"headers": {"X": {"exact": ""}}},
        {"headers": {"X": {"regex": "("}}},
        {"headers": {"no name": {"exact": "a"}}},
        {"urls": []},
        {"urls": [{"methods": ["GET"]}]},
        {"urls": [{"methods": ["get"], "url": {"exact": "/"}}]},
        {"permil": 1001, "policy": "random"},
        {"policy": "cookieHash", "permil": 5},
    ],
)
def test_the_schema_refuses_what_makes_no_sense(written: dict[str, Any]) -> None:
    assert [*errors(FILTER, written)]


def test_filters_that_agree_have_no_faults() -> None:
    pools = [
        MAIN,
        pool(urls=[{"url": {"prefix": "/b"}}]),
        pool(headers={"X": {"exact": "a"}}, permil=5, policy="headerHash", headerHashKey="X"),
    ]
    assert not [*candidate_faults(pools, ("pools",))]


def test_matches_are_equal_to_matches_of_the_same_spec_only() -> None:
    text, same, other = (TextMatch({"prefix": prefix}) for prefix in ("a", "a", "b"))
    assert text == same
    assert hash(text) == hash(same)
    assert text != other
    assert text != "a"
    spec: dict[str, Any] = {"X-A": {"exact": "a"}}
    headers, alike = (HeaderMatch(spec, match_all=True) for _ in range(2))
    assert headers == alike
    assert hash(headers) == hash(alike)
    assert headers != HeaderMatch(spec, match_all=False)
    assert headers != spec
