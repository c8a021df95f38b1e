"""MessageValidator: only messages pass that fit a JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from easews import Close, Data, Message, Result, Session, SpecFault

from .jsontext import NotJson, read, write
from .reading import MaybeLater, MessageFilter

if TYPE_CHECKING:
    from .schemafaults import SchemaFault

_Spec = Mapping[str, Any]
_reference = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_REASON = "Reason"
_LONGEST_REASON = 123  # bytes of a Close (RFC 6455 §5.5.1)


class _Fault(NamedTuple):
    """Why a message is not valid, and the code of a Close for it."""

    code: int
    reason: str


class MessageValidator(MessageFilter):
    """Lets messages pass that are JSON and fit a JSON Schema."""

    kind = "MessageValidator"
    schema = "MessageValidator.json"

    @classmethod
    def check(cls, spec: _Spec) -> Iterable[SpecFault]:
        if "schema" in spec and "schemaFile" in spec:
            yield SpecFault(("schemaFile",), "there is a schema, too", "write one of the two")
        elif "schema" in spec:
            from .schemafaults import schema_faults

            for fault in schema_faults(spec["schema"]):
                yield SpecFault(("schema", *fault.path), fault.wrong, fault.accepted)
        elif "schemaFile" in spec:
            yield from _file_faults(spec["schemaFile"])
        else:
            yield SpecFault((), "there is no schema", "write schema or schemaFile")
        for name in _reference.findall(spec["answer"]):
            if name != _REASON:
                yield SpecFault(("answer",), f"there is no {{{{{name}}}}}", "write {{Reason}}")

    def __init__(self, name: str, spec: _Spec) -> None:
        super().__init__(name, spec, binary=spec["binary"] == "refuse")
        from .jsonschemas import MessageSchema  # 4 MiB, which gateways without this filter save

        schema = spec["schema"] if "schema" in spec else read(_text(spec["schemaFile"]))
        self._schema = MessageSchema(schema)
        self._code: int = spec["closeCode"]
        self._on_invalid: str = spec["onInvalid"]
        self._answer: str = spec["answer"]

    def on_message(self, session: Session, message: Message) -> MaybeLater:
        def decide(fault: _Fault | None) -> Result:
            return message if fault is None else self._instead(session, message, fault)

        return self.worked(self._fault, message.data, decide)

    def _fault(self, data: Data) -> _Fault | None:
        if isinstance(data, bytes):
            return _Fault(1003, "binary messages are not accepted")
        try:
            wrong = self._schema.fault(read(data))
        except NotJson as fault:
            return _Fault(self._code, f"the message {fault}")
        return _Fault(self._code, wrong) if wrong else None

    def _instead(self, session: Session, message: Message, fault: _Fault) -> Result:
        if self._on_invalid == "close":
            reason = fault.reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
            return Close(fault.code, reason)
        if self._on_invalid == "answer":
            escaped = write(fault.reason)[1:-1]  # most answers are JSON
            answer = _reference.sub(lambda _: escaped, self._answer)
            send = session.send_to_client if message.sender == "client" else session.send_to_backend
            send(answer)
        return None


def _text(file: str) -> str:
    return Path(file).read_text("utf-8")


def _file_faults(file: str) -> Iterable[SpecFault]:
    from .schemafaults import schema_faults

    try:
        found: list[SchemaFault] = [*schema_faults(read(_text(file)))]
    except OSError as error:
        wrong = f"cannot be read: {error.strerror}"
        yield SpecFault(("schemaFile",), wrong, "name a file with a JSON Schema")
    except NotJson as error:
        yield SpecFault(("schemaFile",), f"the file {error}", "name a file with a JSON Schema")
    except UnicodeDecodeError:
        yield SpecFault(("schemaFile",), "the file is no UTF-8", "name a file with a JSON Schema")
    else:
        for fault in found:
            pointer = "".join(f"/{step}" for step in fault.path)
            yield SpecFault(("schemaFile",), f"at {pointer or '/'}: {fault.wrong}", fault.accepted)
