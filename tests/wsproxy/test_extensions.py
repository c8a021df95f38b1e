"""permessage-deflate: which answers a server may give to which offers (RFC 7692 §7.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.extensions import PerMessageDeflate

from easews import Headers
from easews_wsproxy.handshake.extensions import check, deflate_elements, elements

DEFLATE = "permessage-deflate"


def lines(*values: str) -> Headers:
    return Headers([("Sec-WebSocket-Extensions", value) for value in values])


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (lines(), []),
        (lines("", " , ,"), []),
        (lines("a; x=1 , b", "c"), ["a; x=1", "b", "c"]),
        (lines('a; x="1,2", b'), ['a; x="1,2"', "b"]),
        (lines(r'a; x="\",", b'), [r'a; x="\","', "b"]),
        (lines('a; x="never closed, b'), ['a; x="never closed, b']),
        (lines("X-one , twoX"), ["X-one", "twoX"]),
    ],
    ids=["none", "empty", "several", "quoted comma", "quoted quote", "unclosed", "letters stay"],
)
def test_elements_are_told_apart_by_commas_outside_of_quotes(
    headers: Headers, found: list[str]
) -> None:
    assert elements(headers) == found


def test_deflate_is_known_by_its_whole_name() -> None:
    others = f"x-{DEFLATE}, {DEFLATE}-2, {DEFLATE}X"
    headers = lines(f"{others}, {DEFLATE} ; client_max_window_bits, {DEFLATE}")

    assert deflate_elements(headers) == [f"{DEFLATE} ; client_max_window_bits", DEFLATE]


# Parameters of the offers, parameters of the answer; the answer None is no compression.
FITTING: list[tuple[list[str], str | None]] = [
    ([], None),
    (["client_max_window_bits"], None),
    ([""], ""),
    (["client_max_window_bits"], ""),
    (["client_max_window_bits"], "client_max_window_bits=8"),
    (["client_max_window_bits=10"], "client_max_window_bits=10"),
    ([""], "server_no_context_takeover"),
    ([""], "client_no_context_takeover"),
    ([""], "server_max_window_bits=9"),
    (["server_no_context_takeover"], "server_no_context_takeover"),
    (["server_max_window_bits=12"], "server_max_window_bits=11"),
    (["server_max_window_bits=12"], 'server_max_window_bits="12"'),
    (["server_max_window_bits=9", ""], "server_max_window_bits=15"),
    (["foo", ""], ""),
]


@pytest.mark.parametrize(("offers", "answer"), FITTING)
def test_an_answer_that_fits_one_of_the_offers_is_taken(
    offers: list[str], answer: str | None
) -> None:
    answered = [] if answer is None else [f"{DEFLATE}; {answer}" if answer else DEFLATE]
    offered = [f"{DEFLATE}; {offer}" if offer else DEFLATE for offer in offers]

    assert check(answered, offered) is None


UNFITTING: list[tuple[list[str], str]] = [
    ([], ""),
    ([""], "client_max_window_bits=10"),
    (["client_max_window_bits"], "client_max_window_bits"),
    (["client_max_window_bits=10"], "client_max_window_bits=11"),
    (["server_no_context_takeover"], ""),
    (["server_max_window_bits=12"], ""),
    (["server_max_window_bits=12"], "server_max_window_bits=13"),
    ([""], "server_max_window_bits"),
    ([""], "server_max_window_bits=7"),
    ([""], "server_max_window_bits=16"),
    ([""], "server_max_window_bits=09"),
    ([""], "server_max_window_bits=9; server_max_window_bits=9"),
    ([""], "server_no_context_takeover=1"),
    ([""], "server_no_context_takeover="),
    ([""], "foo"),
    (["foo"], ""),
]


@pytest.mark.parametrize(("offers", "answer"), UNFITTING)
def test_an_answer_that_fits_none_of_the_offers_is_refused(offers: list[str], answer: str) -> None:
    answered = [f"{DEFLATE}; {answer}" if answer else DEFLATE]
    offered = [f"{DEFLATE}; {offer}" if offer else DEFLATE for offer in offers]

    assert check(answered, offered) is not None


@pytest.mark.parametrize(
    ("answered", "named"),
    [
        (["foo"], "not offered"),
        ([DEFLATE, "foo"], "not offered"),
        ([DEFLATE, DEFLATE], "more than once"),
    ],
)
def test_other_extensions_and_a_second_deflate_are_refused(answered: list[str], named: str) -> None:
    assert named in (check(answered, [DEFLATE]) or "")


FLAGS = st.sets(st.sampled_from(["server_no_context_takeover", "client_no_context_takeover"]))
BITS = st.one_of(st.none(), st.integers(9, 15))


@given(FLAGS, BITS, st.one_of(BITS, st.just(0)))
def test_what_wsproto_answers_to_an_offer_is_taken(
    flags: set[str], server_bits: int | None, client_bits: int | None
) -> None:
    offer = [DEFLATE, *sorted(flags)]
    offer += [f"server_max_window_bits={server_bits}"] if server_bits else []
    if client_bits is not None:
        offer.append(f"client_max_window_bits={client_bits}".removesuffix("=0"))
    agreed = PerMessageDeflate().accept("; ".join(offer))

    answer = f"{DEFLATE}; {agreed}".removesuffix("; ")
    assert check([answer], ["; ".join(offer)]) is None


@pytest.mark.parametrize(
    "parameter",
    ["client_no_context_takeoverX", "server_max_window_bits=9X", 'server_max_window_bits="'],
)
def test_a_parameter_is_known_by_all_of_its_letters(parameter: str) -> None:
    assert check([f"{DEFLATE}; {parameter}"], [DEFLATE]) is not None
