"""The inherited suite: good filters pass it, and each of its checks finds a bad one."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import pytest

from easews import Close, Context, Ending, Filter, Message, Reads, Response, Session
from easews.testing import FilterConformance, conversation, make_filter


class Shout(Filter):
    """Makes messages loud."""

    kind = "Shout"
    api = 1
    schema = {"type": "object", "additionalProperties": False}  # noqa: RUF012

    def on_message(self, session: Session, message: Message) -> Any:
        return message.data.upper()


class Thrift(Shout):
    """Lets half of the messages pass, one in a second, and remembers how many."""

    kind = "Thrift"

    def __init__(self, name: str, spec: Any) -> None:
        super().__init__(name, spec)
        self.seen = 0

    def inherit(self, previous: Filter) -> None:
        assert isinstance(previous, Thrift)
        self.seen = previous.seen

    async def on_message(self, session: Session, message: Message) -> Any:
        self.seen += 1
        await session.sleep(1)
        return message if self.seen % 2 else None

    async def on_close(self, session: Session, ending: Ending) -> None:
        await session.sleep(1)


class Refuses(Filter):
    """Answers every request by itself."""

    kind = "Refuses"
    api = 1
    schema = Shout.schema

    async def handle(self, ctx: Context) -> None:
        ctx.response = Response(403)


class OfThis(FilterConformance):
    """The suite for a class of this module; not collected, as its name does not begin with Test."""

    made: type[Filter] = Shout

    def make(self) -> Filter:
        return make_filter(self.made)

    def test_it_imports_public_names_only(self) -> None: ...


class TestShout(OfThis):
    pass


class TestThrift(OfThis):
    made = Thrift
    drops = True


class TestRefuses(OfThis):
    made = Refuses


# Bad filters, each for one check


class Swaps(Shout):
    """Swaps messages."""

    def __init__(self, name: str, spec: Any) -> None:
        super().__init__(name, spec)
        self.kept: dict[str, Message] = {}

    def on_message(self, session: Session, message: Message) -> Any:
        before = self.kept.pop(message.sender, None)
        if before is None:
            self.kept[message.sender] = message
            return None
        return [message, before]


class Loses(Shout):
    """Loses a message."""

    def on_message(self, session: Session, message: Message) -> Any:
        return None if message.data == '{"message": 510}' else message


class Keeps(Shout):
    """Keeps all messages."""

    def __init__(self, name: str, spec: Any) -> None:
        super().__init__(name, spec)
        self.kept: list[bytes] = []

    def on_message(self, session: Session, message: Message) -> Any:
        self.kept.append(bytes(1000))
        return message


class KeepsSessions(Shout):
    """Keeps all sessions."""

    def __init__(self, name: str, spec: Any) -> None:
        super().__init__(name, spec)
        self.kept: list[object] = []

    def on_open(self, session: Session) -> None:
        self.kept += [session, bytes(20_000)]


class Stays(Shout):
    """Stays in its hook."""

    async def on_message(self, session: Session, message: Message) -> Any:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(1)
        return message


class Locks(Shout):
    """Locks itself when it is cancelled."""

    def __init__(self, name: str, spec: Any) -> None:
        super().__init__(name, spec)
        self.locked = False

    async def on_message(self, session: Session, message: Message) -> Any:
        if self.locked:
            return None
        self.locked = True
        await session.sleep(1)
        self.locked = False
        return message


class Inherits(Shout):
    """Takes everything from the one that it replaces."""

    def __init__(self, name: str, spec: Any) -> None:
        super().__init__(name, spec)
        self.marks: list[str] | None = []

    def inherit(self, previous: Filter) -> None:
        assert isinstance(previous, Inherits)
        self.marks, previous.marks = previous.marks, None

    def on_message(self, session: Session, message: Message) -> Any:
        assert self.marks is not None
        return message


class EndsNever(Shout):
    """Does not return from on_close."""

    async def on_close(self, session: Session, ending: Ending) -> None:
        while True:
            await session.sleep(60)


class Parses(Shout):
    """Takes every message for JSON."""

    reads = Reads(senders=("backend",), binary=False)

    def on_message(self, session: Session, message: Message) -> Any:
        message.json()
        return message


class Undeclared(Shout):
    """Returns a result that it does not declare."""

    async def handle(self, ctx: Context) -> str:
        return "undeclared"


class Untidy(Shout):
    """has no sentence"""


CHECK = FilterConformance
BAD: list[tuple[type[Filter], Callable[[FilterConformance], Any], str]] = [
    (Untidy, CHECK.test_the_kind_is_in_order, "no short sentence"),
    (
        Swaps,
        CHECK.test_it_keeps_the_order,
        r"order of \d+ of 50 messages: \d+ came where \d+ was due",
    ),
    (
        Loses,
        CHECK.test_it_loses_nothing,
        r"it lost 1 of 100 messages, the first is 510; if .* set drops = True",
    ),
    (Keeps, CHECK.test_its_memory_is_bounded, "it keeps .* bytes"),
    (KeepsSessions, CHECK.test_its_memory_is_bounded, "it keeps .* bytes"),
    (Stays, CHECK.test_it_survives_cancellation, "a hook went on after the end"),
    (Locks, CHECK.test_it_survives_cancellation, "it lets nothing pass any more"),
    (Inherits, CHECK.test_it_survives_a_reload, "AssertionError"),
    (EndsNever, CHECK.test_it_drains, "on_close does not return"),
    (
        Parses,
        CHECK.test_it_raises_at_no_message,
        r"on_message of .* raised \(onError: close\): JSONDecodeError",
    ),
    (Undeclared, CHECK.test_it_drains, "returned 'undeclared'"),
]


@pytest.mark.parametrize(("bad", "check", "text"), BAD, ids=lambda it: getattr(it, "__name__", ""))
async def test_each_check_finds_a_bad_filter(
    bad: type[Filter],
    check: Callable[[FilterConformance], Any],
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if bad is Stays:
        monkeypatch.setattr("easews.testing.clock.PATIENCE", 0.01)

    class OfBad(FilterConformance):
        def make(self) -> Filter:
            return make_filter(bad)

    async def run() -> None:
        if (running := check(OfBad())) is not None:
            await running

    with pytest.raises(AssertionError, match=text):
        await run()


def load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[file.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_check_of_imports_finds_a_bad_filter(tmp_path: Path) -> None:
    file = tmp_path / "insider.py"
    file.write_text(
        "from easews.config import Config\nfrom easews import *\nclass In(Filter): ...\n"
    )

    class OfInsider(FilterConformance):
        def make(self) -> Filter:
            insider: Filter = load(file).In("insider", {})
            return insider

    with pytest.raises(AssertionError, match=r"insider\.py:1: easews\.config\.Config"):
        OfInsider().test_it_imports_public_names_only()


async def test_every_check_is_proven_to_fail() -> None:
    checks = {name for name in vars(FilterConformance) if name.startswith("test_")}
    proven = {check.__name__ for _, check, _ in BAD} | {"test_it_imports_public_names_only"}
    assert checks == proven


async def test_numbers_are_found_in_binary_messages_too() -> None:
    assert TestShout().number_of(b"\xff 12") == 12
    assert TestShout().number_of("none") is None


async def test_a_filter_that_ends_sessions_loses_what_is_sent_then() -> None:
    class Ends(Shout):
        """Ends sessions."""

        def on_message(self, session: Session, message: Message) -> Any:
            return Close(4000)

    class OfEnds(OfThis):
        made = Ends

    with pytest.raises(AssertionError, match="it lost"):
        await OfEnds().test_it_loses_nothing()
    async with conversation(Ends) as talk:
        assert talk.is_open
