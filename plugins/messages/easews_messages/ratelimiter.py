"""MessageRateLimiter: how many messages and bytes a second pass, by key."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from hashlib import blake2b
from ipaddress import ip_address
from math import inf
from typing import Any

from easews import Close, Data, Ending, Filter, Message, Result, Sender, Session, SpecFault

from .jsontext import NotJson, read
from .meters import Meters, Rates
from .paths import JsonPath
from .reading import MaybeLater, MessageFilter, path_fault
from .records import size_of

_Spec = Mapping[str, Any]
_OVER = Close(1008, "too many messages")


class MessageRateLimiter(MessageFilter):
    """Limits the messages and bytes a second of a client, a user, a field's value or a session."""

    kind = "MessageRateLimiter"
    schema = "MessageRateLimiter.json"
    hook_timeout = inf  # a pause is as long as the rate says

    @classmethod
    def check(cls, spec: _Spec) -> Iterable[SpecFault]:
        if "messages" not in spec and spec["bytes"] < 0:
            yield SpecFault((), "it limits nothing", "write messages or bytes")
        if spec["bytes"] == 0:
            yield SpecFault(("bytes",), "nothing would ever pass", "write a size above 0")
        if spec["by"] == "field" and "field" not in spec:
            yield SpecFault((), "there is no field to tell messages apart by", "write field")
        if "field" in spec and (fault := path_fault(spec["field"], ("field",), whole=True)):
            yield fault

    def __init__(self, name: str, spec: _Spec) -> None:
        super().__init__(name, spec)
        size = spec["bytes"]
        self._rates = Rates(spec.get("messages"), size if size > 0 else None, spec["burst"])
        self._over: str = spec["over"]
        self._by: str = spec["by"]
        self._label: str = spec["label"]
        self._field = JsonPath(spec["field"]) if self._by == "field" else None
        self._meters = Meters(None if self._by == "session" else spec["maxKeys"])

    def inherit(self, previous: Filter) -> None:
        """Go on with what was counted, if it was counted by the same keys."""
        if isinstance(previous, MessageRateLimiter) and self._keys == previous._keys:
            most, self._meters = self._meters.most, previous._meters
            self._meters.most = most

    @property
    def _keys(self) -> tuple[object, ...]:
        label = self._label if self._by == "label" else None
        return self._by, label, self.spec["field"] if self._field else None

    def on_message(self, session: Session, message: Message) -> MaybeLater:
        size = size_of(message.data) if self._rates.bytes else 0

        def count(key: Hashable) -> MaybeLater:
            return self._counted(session, message, (message.sender, key), self._rates.costs(size))

        if self._field is None:
            return count(self._key(session))
        return self._by_field(session, message, count)

    def on_close(self, session: Session, ending: Ending) -> None:
        if self._by == "session":
            senders: tuple[Sender, ...] = ("client", "backend")
            for sender in senders:
                self._meters.forget((sender, session.opening.id))

    def _by_field(
        self,
        session: Session,
        message: Message,
        count: Callable[[Hashable], MaybeLater],
    ) -> MaybeLater:
        def with_key(value: bytes | None) -> MaybeLater:
            return count(_client(session) if value is None else value)

        return self.worked(self._value, message.data, with_key)

    def _key(self, session: Session) -> Hashable:
        if self._by == "session":
            return session.opening.id
        label = session.opening.labels.get(self._label) if self._by == "label" else None
        return _client(session) if label is None else label

    def _value(self, data: Data) -> bytes | None:
        """What stands for the value of the field, None when there is none."""
        assert self._field is not None
        if isinstance(data, bytes):
            return None
        try:
            places = self._field.places(read(data))
        except NotJson:
            return None
        value = places[0].value if places else None
        if value is None or isinstance(value, (dict, list)):
            return None
        # As long as every other, whatever a client writes: many keys are remembered.
        return blake2b(f"{type(value).__name__} {value}".encode(), digest_size=16).digest()

    def _counted(
        self, session: Session, message: Message, key: Hashable, costs: Sequence[float]
    ) -> MaybeLater:
        now = session.now()
        wait = self._meters.wait(key, costs, self._rates.burst, now)
        if wait and self._over != "pause":
            return _OVER if self._over == "close" else None
        self._meters.charge(key, costs, now)
        return self._paused(session, message, key, costs, wait) if wait else message

    async def _paused(
        self,
        session: Session,
        message: Message,
        key: Hashable,
        costs: Sequence[float],
        wait: float,
    ) -> Result:
        passes = False
        try:
            await session.sleep(wait)
            passes = True
        finally:
            if not passes:  # the session has ended, and others need not pay for its message
                self._meters.refund(key, costs)
        return message


def _client(session: Session) -> Hashable:
    """The client's address; of IPv6 the first 64 bits, which one client usually has to itself."""
    try:
        return "client", ip_address(session.opening.client).packed[:8]
    except ValueError:  # it came by a unix socket
        return "client", session.opening.client
