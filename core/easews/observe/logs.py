"""The format of log lines, and a thread that writes them, so that a full pipe blocks no request.

Everything goes through the standard library's logging, under the logger `easews`. A record
with fields (``extra={FIELDS: {...}}``) is an event: `name key=value …` or one JSON object.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from threading import Event, Thread
from typing import Any, NamedTuple, NoReturn, TextIO

FIELDS = "easews_fields"
FORMATS = ("text", "json")
#: A field whose value is the whole line of the text format: what `accessLogFormat` has made.
LINE = "line"

#: Lines that may wait to be written; further ones are counted and dropped.
MAX_WAITING = 20_000
WRITTEN_AT_ONCE = 1000
#: Seconds for which lines are collected before they are written together.
GATHERING_SECONDS = 0.02
#: Seconds to wait at the end for a stream that blocks.
STOP_SECONDS = 5.0


class LineFormatter(logging.Formatter):
    """A record as `line` says. `worker` is the number of this process, 0 for the only one."""

    def __init__(self, worker: int = 0) -> None:
        super().__init__()
        self.worker = worker

    def format(self, record: logging.LogRecord) -> str:
        fields: Mapping[str, Any] = getattr(record, FIELDS, {})
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        return self.line(record.created, record.levelname, record.getMessage(), fields, trace)

    def line(
        self, at: float, level: str, message: str, fields: Mapping[str, Any], trace: str = ""
    ) -> str:
        """`at` is a reading of `time.time`."""
        raise NotImplementedError


class TextFormatter(LineFormatter):
    """``2026-01-31T12:00:00.123Z INFO request id=… status=101``"""

    def line(
        self, at: float, level: str, message: str, fields: Mapping[str, Any], trace: str = ""
    ) -> str:
        if LINE in fields:
            return escaped(fields[LINE])
        pairs = [f"{key}={_quoted(value)}" for key, value in fields.items() if value != ""]
        if self.worker:
            pairs.append(f"worker={self.worker}")
        line = " ".join([timestamp(at), level, escaped(message), *pairs])
        return line + "".join(f"\n    {escaped(part)}" for part in trace.splitlines())


class JsonFormatter(LineFormatter):
    """One object a line: ``time``, ``level``, ``event``, and the event's fields."""

    def line(
        self, at: float, level: str, message: str, fields: Mapping[str, Any], trace: str = ""
    ) -> str:
        shown = {"time": timestamp(at), "level": level.lower(), "event": message, **fields}
        if self.worker:
            shown["worker"] = self.worker
        if trace:
            shown["exception"] = trace
        return json.dumps(shown)


def timestamp(at: float) -> str:
    return f"{_to_the_second(int(at))}.{int(at % 1 * 1000):03d}Z"


@lru_cache(maxsize=4)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _quoted(value: object) -> str:
    """The value, in quotes if it contains a space or a quote, so that a line can be parsed."""
    if not isinstance(value, str):
        return str(value)
    if not value.isprintable():
        return json.dumps(value)
    if not value or " " in value or '"' in value:
        return json.dumps(value, ensure_ascii=False)
    return value


def escaped(text: str) -> str:
    """`text` with control characters escaped, so that no client can forge a log line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


# What the records of all events have in common; making it each time would dominate the cost.
_EVENT = vars(logging.LogRecord("", logging.INFO, "", 0, "", None, None))


_all = logging.getLogger("easews")


class _Event(NamedTuple):
    """What is left of an event's record where nobody but our writer sees it."""

    at: float
    name: str
    fields: Mapping[str, Any]


def log_event(log: logging.Logger, name: str, fields: Mapping[str, Any]) -> None:
    """Log an event: as ``log.info`` with FIELDS, without finding out the caller's line."""
    if log.isEnabledFor(logging.INFO):
        now = time.time()
        writer = None if _all.propagate or log.handlers or log.filters else _sole_writer()
        if writer is not None:
            writer.put(_Event(now, name, fields))
            return
        record = logging.LogRecord.__new__(logging.LogRecord)
        what = {"name": log.name, "msg": name, "created": now, "msecs": now % 1 * 1000}
        record.__dict__ = {**_EVENT, **what, FIELDS: fields}
        log.handle(record)


class _WritingHandler(logging.Handler):
    """Passes records to a thread that formats and writes them, many at a time. It writes while it
    has the lock of the file `turns`, so that several processes can write to the same stream.
    """

    def __init__(self, stream: TextIO, formatter: LineFormatter, turns: int | None = None) -> None:
        super().__init__()
        self._stream = stream
        self._turns = turns
        self._formatter = formatter
        self._records: deque[logging.LogRecord | _Event] = deque()
        self._dropped = 0
        self._stopping = False
        self._wanted = Event()
        self._thread = Thread(target=self._run, name="easews-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        self.put(record)

    def put(self, record: logging.LogRecord | _Event) -> None:
        if len(self._records) >= MAX_WAITING:
            self._dropped += 1
            return
        self._records.append(record)
        if not self._wanted.is_set():
            self._wanted.set()

    def stop(self) -> None:
        """Write the remaining lines, unless the stream's reader has stopped reading."""
        self._stopping = True
        self._wanted.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping:
            self._wanted.wait()
            if not self._stopping:
                time.sleep(GATHERING_SECONDS)  # waking up for each line would cost more
            self._wanted.clear()
            self._write_all()
        self._write_all()

    def _write_all(self) -> None:
        dropped, self._dropped = self._dropped, 0
        if dropped:
            text = f"{dropped} log lines were left out: they came faster than they were read"
            self._records.append(
                logging.LogRecord("easews", logging.WARNING, "", 0, text, None, None)
            )
        while self._records:
            try:
                count = min(len(self._records), WRITTEN_AT_ONCE)
                lines = [self._line(self._records.popleft()) for _ in range(count)]
                with _locked(self._turns):
                    self._stream.write("\n".join(lines) + "\n")
                    self._stream.flush()
            except (OSError, ValueError):
                return  # nobody reads any more, which is no reason to stop serving

    def _line(self, record: logging.LogRecord | _Event) -> str:
        if isinstance(record, _Event):
            return self._formatter.line(record.at, "INFO", record.name, record.fields)
        try:
            return self._formatter.format(record)
        except Exception as error:  # arguments that do not fit their text
            what = escaped(repr(record.msg))
            return f"{timestamp(record.created)} ERROR {what} cannot be shown: {error}"


@contextmanager
def _locked(file: int | None) -> Iterator[None]:
    if file is None:
        yield
        return
    fcntl.lockf(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.lockf(file, fcntl.LOCK_UN)


def _sole_writer() -> _WritingHandler | None:
    """The writer, if there is no other handler."""
    handlers = _all.handlers
    writer = handlers[0] if len(handlers) == 1 else None
    return writer if isinstance(writer, _WritingHandler) else None


def end_process(status: int) -> NoReturn:
    """End the process even if tasks or threads do not end; write the log first."""
    write_the_rest()
    os._exit(status)


def write_the_rest() -> None:
    """Write the lines of the log that wait, and no later ones: the program ends."""
    for handler in _all.handlers:
        if isinstance(handler, _WritingHandler):
            handler.stop()
    sys.stdout.flush()


@contextmanager
def writing_logs(
    format: str, stream: TextIO | None = None, *, worker: int = 0, turns: int | None = None
) -> Iterator[None]:
    """Write the log of `easews` to `stream` (standard error) while the block runs.

    Each of several processes has its number as `worker`, and `turns`, which is a file of theirs
    that is open for writing: it is locked so that no line gets into the middle of another one.
    """
    formatter = JsonFormatter(worker) if format == "json" else TextFormatter(worker)
    handler = _WritingHandler(stream or sys.stderr, formatter, turns)
    logger = _all
    before = (logger.level, logger.propagate)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
        handler.stop()
