"""MessageLogger: a line for each message, in the log or in a file."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from random import random
from types import TracebackType
from typing import Any, Self

from anyio import CancelScope, to_thread

from easews import Filter, Message, Result, Session, SpecFault

from .jsontext import write
from .linefile import Limits, LineFile
from .reading import MaybeLater, MessageFilter, path_fault
from .records import Content, Record, Redaction, size_of

log: logging.Logger = logging.getLogger("easews.messages")

_Spec = Mapping[str, Any]
#: Seconds that the disk has for the last lines.
_PATIENCE = 5.0


class MessageLogger(MessageFilter):
    """Logs a line for each message: who has sent it, its size and, if you ask, its content."""

    kind = "MessageLogger"
    schema = "MessageLogger.json"

    @classmethod
    def check(cls, spec: _Spec) -> Iterable[SpecFault]:
        for number, path in enumerate(spec["redact"]):
            if fault := path_fault(path, ("redact", number), whole=True):
                yield fault
        if spec["redact"] and not spec["content"]:
            wrong = "no content is logged that could be redacted"
            yield SpecFault(("redact",), wrong, "add content: true, or leave redact out")

    def __init__(self, name: str, spec: _Spec) -> None:
        super().__init__(name, spec)
        self._redaction = Redaction(spec["redact"], spec["maxContent"]) if spec["content"] else None
        self._sample: float = spec["sample"]
        self._file: LineFile | None = None
        if "file" in spec:
            self._file = LineFile(spec["file"], _limits(spec))

    def inherit(self, previous: Filter) -> None:
        """Go on in the same file: its writer has to be the only one, or both would rotate it."""
        before = previous._file if isinstance(previous, MessageLogger) else None
        if self._file and before and before.path == self._file.path:
            before.limits = self._file.limits
            self._file = before

    async def __aenter__(self) -> Self:
        if self._file is not None:
            await to_thread.run_sync(self._file.open)
        return await super().__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            with CancelScope(shield=True):
                await to_thread.run_sync(self._file.close, _PATIENCE)

    def on_message(self, session: Session, message: Message) -> MaybeLater:
        if self._sample < 1 and random() >= self._sample:
            return message

        def logged(content: Content | None) -> Result:
            self._log(_record(session, message, content))
            return message

        if self._redaction is None:
            return logged(None)
        return self.worked(self._redaction.content, message.data, logged)

    def _log(self, record: Record) -> None:
        if self._file is None:
            log.info("%s", record.line())
        else:
            self._file.put(write(record.fields(_now())))


def _record(session: Session, message: Message, content: Content | None) -> Record:
    size = size_of(message.data)
    return Record(session.opening.id, message.sender, message.is_text, size, content)


def _limits(spec: _Spec) -> Limits:
    return Limits(spec["maxFileSize"], spec["keep"], spec["maxWaiting"])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
