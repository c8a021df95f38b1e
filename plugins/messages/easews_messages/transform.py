"""MessageTransform: sets, removes and masks fields of messages in JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from easews import Close, Data, Message, Result, Session, SpecFault

from .changes import changes_of
from .jsontext import NotJson, read, write
from .reading import MaybeLater, MessageFilter, path_fault

_Spec = Mapping[str, Any]


class MessageTransform(MessageFilter):
    """Sets, removes and masks fields of messages in JSON."""

    kind = "MessageTransform"
    schema = "MessageTransform.json"

    @classmethod
    def check(cls, spec: _Spec) -> Iterable[SpecFault]:
        if not (spec["remove"] or spec["mask"] or spec["set"]):
            yield SpecFault((), "it changes nothing", "write remove, mask or set")
        places: list[tuple[str, tuple[str | int, ...]]] = [
            *((path, ("remove", number)) for number, path in enumerate(spec["remove"])),
            *((it["path"], ("mask", number, "path")) for number, it in enumerate(spec["mask"])),
            *((path, ("set", path)) for path in spec["set"]),
        ]
        for path, at in places:
            if fault := path_fault(path, at):
                yield fault
        for path, value in spec["set"].items():
            if not _is_json(value):
                yield SpecFault(("set", path), "this is no value that JSON has", "write another")

    def __init__(self, name: str, spec: _Spec) -> None:
        super().__init__(name, spec, binary=False)
        self._changes = changes_of(spec)
        self._not_json: str = spec["notJson"]

    def on_message(self, session: Session, message: Message) -> MaybeLater:
        def instead(text: str | NotJson | None) -> Result:
            if text is None:
                return message  # the very object: the bytes that came go on
            return self._refused(message, text) if isinstance(text, NotJson) else text

        return self.worked(self._changed, message.data, instead)

    def _changed(self, data: Data) -> str | NotJson | None:
        """The text with its changes, None when there are none, or why it cannot be read."""
        assert isinstance(data, str)
        try:
            value = read(data)
        except NotJson as fault:
            return fault
        changed = [change.apply(value) for change in self._changes]
        return write(value) if any(changed) else None

    def _refused(self, message: Message, fault: NotJson) -> Result:
        if self._not_json == "pass":
            return message
        return Close(1007, f"the message {fault}") if self._not_json == "close" else None


def _is_json(value: Any) -> bool:
    try:
        write(value)
    except (TypeError, ValueError):
        return False
    return True
