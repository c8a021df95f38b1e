"""The messages of an upgrade, and which process has a session whoever crashes when. Pure."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import Opening, Route, Service, Services
from easews.operate.handover import plain, protocol
from easews.operate.handover.protocol import Giver, HandoverFault, Kind, Message, Place, expect


def test_the_new_process_is_told_its_end_of_the_channel_and_the_version() -> None:
    assert protocol.descriptor_in(protocol.variable(7)) == 7


@pytest.mark.parametrize("text", ["1:7", "3:7", "", "1:", "1:x", "7"])
def test_another_version_is_refused(text: str) -> None:
    with pytest.raises(HandoverFault, match=r"another way.* restart it instead"):
        protocol.descriptor_in(text)


def test_places_come_as_they_were_sent() -> None:
    places = [Place("a", "127.0.0.1", 80), Place("b", "unix:/run/b", 0, owns_file=True)]
    message = json.loads(json.dumps(protocol.listeners(places)))
    assert protocol.places_in(message) == places


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            protocol.listeners([Place("a", "::", 80)], ["plain h 1 /"], secret=b"\1", several=True),
            '{"is": "listeners", "places": [["a", "::", 80, false]], "drained": ["plain h 1 /"],'
            ' "secret": "01", "several": true}',
        ),
        (
            protocol.listeners([]),
            '{"is": "listeners", "places": [], "drained": [], "secret": "", "several": false}',
        ),
        (protocol.started(7), '{"is": "started", "pid": 7}'),
        (protocol.ready({"relay": 1}), '{"is": "ready", "states": {"relay": 1}}'),
        (protocol.sessions(), '{"is": "sessions"}'),
        (protocol.batch(1, [{}]), '{"is": "batch", "number": 1, "sessions": [{}]}'),
        (protocol.taken(1, {"a": "b"}), '{"is": "taken", "number": 1, "refused": {"a": "b"}}'),
        (protocol.done(2), '{"is": "done", "count": 2}'),
        (protocol.kept(2), '{"is": "kept", "count": 2}'),
        (protocol.back(), '{"is": "back"}'),
        (protocol.channel(), '{"is": "channel"}'),
    ],
)
def test_another_program_finds_each_message_as_it_knows_it(message: Message, text: str) -> None:
    """Who changes one of these texts changes `VERSION`, too."""
    assert json.dumps(message) == text


def test_a_message_of_a_kind_that_may_come_is_the_one() -> None:
    for message in (protocol.done(3), protocol.kept(2)):
        assert expect(message, Kind.DONE, Kind.KEPT) is message
    assert (protocol.done(3)["count"], protocol.kept(2)["count"]) == (3, 2)


def test_drained_servers_are_told_with_the_listening_sockets() -> None:
    assert protocol.listeners([])["drained"] == []
    assert protocol.listeners([], ["plain a 80 /"])["drained"] == ["plain a 80 /"]


class Moves(Service):
    """Hands sessions over."""

    state_version = 3


class Stays(Service):
    """Does not."""


def test_services_that_hand_sessions_over_are_known_by_name_and_version() -> None:
    moves, name = Moves(Services()), f"{__name__}.Moves"
    assert plain.movers([Stays(Services()), object(), moves]) == {name: moves}
    assert plain.name_of(Moves) == plain.name_of(moves) == name
    assert plain.versions({name: moves}) == {"easews": plain.VERSION, name: 3}


def test_the_new_process_gets_the_secret_and_hears_whether_several_hand_over() -> None:
    message = json.loads(json.dumps(protocol.listeners([], ["a"], secret=b"\0\xff", several=True)))
    assert bytes.fromhex(message["secret"]) == b"\0\xff"
    assert message["several"]
    assert message["drained"] == ["a"]


def test_parents_tell_of_workers_and_pass_channels_on() -> None:
    assert expect(protocol.started(7), Kind.STARTED, Kind.READY)["pid"] == 7
    assert expect(protocol.sessions(), Kind.SESSIONS, Kind.DONE)["is"] == Kind.SESSIONS


def test_what_is_out_of_turn_is_a_fault() -> None:
    with pytest.raises(HandoverFault, match="ready should come, and not done"):
        expect(protocol.done(0), Kind.READY)
    with pytest.raises(HandoverFault, match=r"^the other process is gone$"):
        expect(None, Kind.READY)
    giver = Giver()
    with pytest.raises(HandoverFault, match="not on its way"):
        giver.taken(protocol.taken(1, {}))
    number = giver.offer(["a"])
    with pytest.raises(HandoverFault, match="not been taken yet"):
        giver.offer(["b"])
    with pytest.raises(HandoverFault, match="not on its way"):
        giver.taken(protocol.taken(number + 1, {}))


def test_what_keeps_the_new_process_from_serving_is_told() -> None:
    ready = protocol.ready({"a": 1})
    assert protocol.unless_refused(ready) == ready
    with pytest.raises(HandoverFault, match="cannot serve") as fault:
        protocol.unless_refused(protocol.refused(["one thing", "another"]))
    assert fault.value.problems == ("one thing", "another")


def test_refused_ones_come_back_and_the_others_have_moved() -> None:
    giver = Giver()
    number = giver.offer(["a", "b", "c"])
    assert giver.taken(protocol.taken(number, {"b": "gone"})) == (["a", "c"], {"b": "gone"})
    assert giver.end(()) == ((), {})


def test_what_a_dead_process_has_not_taken_comes_back() -> None:
    giver = Giver()
    assert giver.end(()) == ((), {})
    giver.offer(["a", "b"])
    why = "the new process has failed"
    assert giver.end([protocol.ready({})]).back == {"a": why, "b": why}


def test_each_batch_has_a_number_of_its_own() -> None:
    giver, numbers = Giver(), []
    for _ in range(3):
        numbers.append(giver.offer(["a"]))
        giver.taken(protocol.taken(numbers[-1], {}))
    assert numbers == [1, 2, 3]
    assert giver.end([protocol.taken(3, {})]) == ((), {})  # it is known already


def test_what_it_had_taken_has_died_with_it() -> None:
    giver = Giver()
    number = giver.offer(["a", "b"])
    assert giver.end([protocol.taken(number, {"b": "gone"})]) == (["a"], {"b": "gone"})


@given(
    st.builds(
        Opening,
        id=st.text(),
        client=st.text(),
        route=st.builds(Route, *[st.text()] * 4, body_limit=st.integers()),
        backend=st.text(),
        handshake=st.floats(0, 100),
        opened=st.floats(0, 1e10),
        generation=st.integers(1, 9),
        labels=st.dictionaries(st.text(), st.text()),
        path=st.text(),
        taken_over=st.booleans(),
    )
)
def test_an_opening_is_the_same_again(opening: Opening) -> None:
    written = json.loads(json.dumps(plain.opening_written(opening)))
    route = plain.route_of(written, opening.route.trusted_proxies)
    again = plain.opening_read(written, route, opening.generation)
    assert again == opening._replace(taken_over=True)


# -- every order of crash ------------------------------------------------------------------------


@dataclass
class World:
    """Both processes as they decide, with a channel each way; sessions by who relays them."""

    waiting: list[str]
    giver: Giver = field(default_factory=Giver)
    to_new: deque[Message] = field(default_factory=deque)
    to_old: deque[Message] = field(default_factory=deque)
    old: set[str] = field(default_factory=set)
    new: set[str] = field(default_factory=set)
    rest: set[str] = field(default_factory=set)
    adopted: list[str] = field(default_factory=list)

    def steps(self) -> Iterator[str]:
        """Everything up to the end, a step at a time."""
        self.old = set(self.waiting)
        while self.waiting:
            batch = [self.waiting.pop(0) for _ in range(min(2, len(self.waiting)))]
            number = self.giver.offer(batch)
            self.old -= set(batch)
            self.rest |= set(batch)
            yield "packed"
            self.to_new.append(protocol.batch(number, [{"id": each} for each in batch]))
            yield "offered"
            offered = self.to_new.popleft()
            self.adopted = [each["id"] for each in offered["sessions"]]
            yield "adopted"
            self.to_old.append(protocol.taken(number, {}))
            yield "told"
            self.new |= set(self.adopted)
            self.rest -= set(self.adopted)
            yield "relayed"
            moved, back = self.giver.taken(self.to_old.popleft())
            assert (list(moved), dict(back)) == (batch, {})
            yield "forgotten"


@pytest.mark.parametrize("crash", range(18))
def test_a_crash_of_the_new_process_leaves_each_session_relayed_once_or_dead_with_it(
    crash: int,
) -> None:
    world = World(["a", "b", "c", "d", "e"])
    for number, _ in enumerate(world.steps()):
        if number == crash:
            break
    had, world.new = world.new, set()
    settled = world.giver.end(world.to_old)
    told = set(settled.moved)
    world.old |= set(settled.back)
    assert not world.old & (had | told)  # nobody goes on with what the other has touched
    assert world.old | had | told == set("abcde")
