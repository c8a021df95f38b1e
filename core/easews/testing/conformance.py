"""What every filter has to stand, as tests to inherit."""

from __future__ import annotations

import gc
import logging
import re
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import chain
from typing import Any, ClassVar

import anyio

from ..filters import Filter, overrides
from ..messages import Close, Data, Sender
from .conversations import Conversation, conversation
from .imports import private_imports
from .kinds import check_kind
from .words import Peer

_COUNT = 50
_SESSION_HOOKS = ("on_open", "on_message", "on_tick", "on_close")
_ODD: Sequence[Data] = (
    *("", "null", "{}", "[]", "{", '"\\ud800"', "\x00", "é" * 1000, "[" * 5000, "1e999", "NaN"),
    *(b"", b"\xff", b"\x00" * 1000, b"{}"),
)


class FilterConformance:
    """Tests that every filter has to pass. Inherit them, and say how the filter is made::

        class TestShout(FilterConformance):
            def make(self) -> Filter:
                return make_filter(Shout)

    drops      whether the filter may keep messages back for good, such as a rate limiter
    memory     bytes that it may use for a session, and for what it remembers of earlier ones
    handshake  how the client comes: arguments for `conversation`, such as ``labels``
    odd        messages at which it must not raise, whoever sends them

    pytest runs them with ``anyio_mode = "auto"``, on asyncio and on trio.
    """

    drops: ClassVar[bool] = False
    memory: ClassVar[int] = 256 * 1024
    handshake: ClassVar[Mapping[str, Any]] = {}
    odd: ClassVar[Sequence[Data]] = _ODD

    def make(self) -> Filter:
        """A new instance; two of them must be of the same kind."""
        raise NotImplementedError

    def sample(self, number: int, sender: Sender) -> Data:
        """A message by `sender` that the filter lets pass, with this number in it."""
        return f'{{"message": {number}}}'

    def number_of(self, data: Data) -> int | None:
        """The number in what the filter has made of a sample; None when it has none."""
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        found = re.search(r"\d+", text)
        return int(found[0]) if found else None

    def test_the_kind_is_in_order(self) -> None:
        check_kind(type(self.make()))

    def test_it_imports_public_names_only(self) -> None:
        found = private_imports(type(self.make()))
        assert not found, f"internal names of easews may change in any release: {found}"

    async def test_it_keeps_the_order(self) -> None:
        async with self._talk() as talk:
            if talk is not None:
                for _, came in await self._exchange(talk):
                    wrong = [
                        pair for pair in zip(came, sorted(came), strict=True) if len({*pair}) > 1
                    ]
                    assert not wrong, (
                        f"it changed the order of {len(wrong)} of {len(came)} messages: "
                        f"{wrong[0][0]} came where {wrong[0][1]} was due"
                    )

    async def test_it_loses_nothing(self) -> None:
        async with self._talk() as talk:
            if talk is not None and not self.drops:
                sent, came = map(chain.from_iterable, zip(*await self._exchange(talk), strict=True))
                lost = sorted({*sent} - {*came})
                assert not lost, (
                    f"it lost {len(lost)} of {2 * _COUNT} messages, the first is {lost[0]}; "
                    "if it drops on purpose, set drops = True in this class"
                )

    async def test_its_memory_is_bounded(self) -> None:
        async with self._talk() as talk:
            if talk is not None:
                await self._fill(talk)  # what it uses in any case
                with _growth() as grown:
                    await self._fill(talk)
                assert grown[0] <= self.memory, f"it keeps {grown[0]} bytes after 1000 messages"

    async def test_it_survives_cancellation(self) -> None:
        async with self._talk() as talk:
            with anyio.CancelScope() as scope:  # the client leaves in the handshake
                scope.cancel()
                if talk is not None:
                    await talk.another(**self.handshake)
            if talk is not None:
                await talk.client.sends(self.sample(1, "client"))
                await talk.backend.sends(self.sample(2, "backend"))
                await talk.client.vanishes()
                await self._pass_time(talk)
                assert not talk.clock.working, "a hook went on after the end of its session"
                await self._works(await talk.another(**self.handshake))

    async def test_it_survives_a_reload(self) -> None:
        old, new = self.make(), self.make()
        async with self._talk(old) as before:
            new.inherit(old)
            async with self._talk(new) as after:
                await self._works(before)
                await self._works(after)
            await self._works(before)

    async def test_it_drains(self) -> None:
        async with self._talk() as talk:
            if talk is not None:
                await talk.client.sends(*(self.sample(number, "client") for number in range(10)))
                talk.session.close(1001, "the gateway stops")
                await self._pass_time(talk)
                assert talk.ending is not None
                assert not len(talk.sessions), "on_close does not return"
                assert not talk.clock.working, "a hook went on after the end of its session"

    async def test_it_raises_at_no_message(self) -> None:
        for data in self.odd:
            async with self._talk() as talk:
                if talk is not None:
                    await talk.client.sends(data)
                    await talk.backend.sends(data)
                    await self._pass_time(talk)

    # How

    @asynccontextmanager
    async def _talk(self, made: Filter | None = None) -> AsyncIterator[Conversation | None]:
        """A conversation past the filter; None when it has no hook for sessions and refuses them.

        AssertionError when anything was logged as a fault of the filter.
        """
        __tracebackhide__ = True
        made = self.make() if made is None else made
        with _no_faults():
            async with conversation(made, **self.handshake) as talk:
                has_hooks = any(overrides(type(made), hook) for hook in _SESSION_HOOKS)
                yield talk if has_hooks or talk.is_open else None

    async def _exchange(self, talk: Conversation) -> list[tuple[range, list[int]]]:
        """Send from both sides; the numbers that were sent, and those that came, by direction."""
        ours, theirs = range(100, 100 + _COUNT), range(500, 500 + _COUNT)
        for one, other in zip(ours, theirs, strict=True):
            await talk.client.sends(self.sample(one, "client"))
            await talk.backend.sends(self.sample(other, "backend"))
        await self._pass_time(talk)
        return [
            (sent, [number for number in self._numbers(peer) if number in sent])
            for sent, peer in ((ours, talk.backend), (theirs, talk.client))
        ]

    def _numbers(self, peer: Peer) -> Iterator[int]:
        for what in peer.heard:
            number = None if isinstance(what, Close) else self.number_of(what)
            if number is not None:
                yield number

    async def _fill(self, talk: Conversation) -> None:
        for number in range(1000):
            await talk.client.sends(self.sample(number, "client"))
            await talk.backend.sends(self.sample(number, "backend"))
            if number % 50 == 0:
                await self._pass_time(talk)
                talk.client.heard.clear()
                talk.backend.heard.clear()
                await (await talk.another(**self.handshake)).ends()
        await self._pass_time(talk)

    async def _pass_time(self, talk: Conversation) -> None:
        """Let hooks that wait for the clock go on, an hour at most."""
        await talk.clock.settle()
        for _ in range(360):
            if not talk.clock.asleep:
                return
            await talk.clock.advance(10)

    async def _works(self, talk: Conversation | None) -> None:
        if talk is None:
            return
        await talk.client.sends(self.sample(7, "client"))
        await self._pass_time(talk)
        came = [*self._numbers(talk.backend)]
        assert self.drops or 7 in came, "it lets nothing pass any more"


@contextmanager
def _no_faults() -> Iterator[None]:
    """AssertionError when the engine has logged a fault of the filter."""
    __tracebackhide__ = True
    faults: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            faults.append(record.getMessage() + (f": {error!r}" if error else ""))

    handler, log = Listening(logging.ERROR), logging.getLogger("easews.pipeline")
    log.addHandler(handler)
    try:
        yield
    except AssertionError as error:
        raise AssertionError("; ".join([*faults, str(error)])) from error
    finally:
        log.removeHandler(handler)
    assert not faults, "; ".join(faults)


@contextmanager
def _growth() -> Iterator[list[int]]:
    """By how many bytes the memory in use has grown within the block."""
    grown = [0]
    was_on = tracemalloc.is_tracing()
    if not was_on:
        tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        yield grown
        gc.collect()
        grown[0] = tracemalloc.get_traced_memory()[0] - before
    finally:
        if not was_on:
            tracemalloc.stop()
