"""How log lines look, and how they are written: in a thread, so that a full pipe blocks nobody.

Everything goes through the standard library's logging, under the logger `easews`. A record
with fields (``extra={FIELDS: {...}}``) is an event: `name key=value …` or one JSON object.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging.handlers import QueueHandler, QueueListener
from queue import Full, Queue
from typing import Any, TextIO

FIELDS = "easews_fields"
FORMATS = ("text", "json")

#: Lines that may wait to be written; what comes on top is counted and left out.
MAX_WAITING = 20_000


class TextFormatter(logging.Formatter):
    """``2026-01-31T12:00:00.123Z INFO request id=… status=101``"""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, FIELDS, {})
        pairs = [f"{key}={_quoted(value)}" for key, value in fields.items() if value != ""]
        message = escaped(record.getMessage())
        line = " ".join([_timestamp(record), record.levelname, message, *pairs])
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            line += "".join(f"\n    {escaped(part)}" for part in trace.splitlines())
        return line


class JsonFormatter(logging.Formatter):
    """One object a line: ``time``, ``level``, ``event``, and the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        fields: Mapping[str, Any] = getattr(record, FIELDS, {})
        line = {"time": _timestamp(record), "level": record.levelname.lower()}
        line |= {"event": record.getMessage(), **fields}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _timestamp(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{record.msecs:03.0f}Z"


def _quoted(value: object) -> str:
    """A value that holds a space or a quote stands in quotes, so that a line can be taken apart."""
    text = str(value)
    plain = escaped(text)
    if plain == text and " " not in text and '"' not in text and text:
        return text
    return json.dumps(text, ensure_ascii=False) if plain == text else json.dumps(text)


def escaped(text: str) -> str:
    """Control characters as escapes: nobody gets to write a line of their own."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


class _DroppingHandler(QueueHandler):
    """Leaves lines out when the writer cannot keep up, and says how many."""

    def __init__(self, queue: Queue[Any]) -> None:
        super().__init__(queue)
        self._dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record  # it is formatted in this process, by the writer's thread

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except Full:
            self._dropped += 1
            return
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            logging.getLogger("easews").warning("%d log lines were left out", dropped)


@contextmanager
def writing_logs(format: str, stream: TextIO | None = None) -> Iterator[None]:
    """Write what `easews` logs to `stream` (standard error), until the block is left."""
    writer = logging.StreamHandler(stream or sys.stderr)
    writer.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    queue: Queue[Any] = Queue(MAX_WAITING)
    handler = _DroppingHandler(queue)
    listener = QueueListener(queue, writer)
    logger = logging.getLogger("easews")
    before = (logger.level, logger.propagate)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    listener.start()
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
        listener.stop()
