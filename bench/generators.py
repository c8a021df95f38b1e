"""The load generators and the backends while they run: told what to do, and what they answer."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Self

from .loads import Ability, EndingKind
from .tools import BUILT, PROGRAMS, BenchError, end, refuse_taken, start_pinned

#: How long a proxy may take to end sessions at the backend that have no client any more.
ENDING_SECONDS = 20.0


class Backend(AbstractContextManager["Backend"]):
    """The backend for what a load needs, while the context lasts."""

    def __init__(self, core: int, port: int, needs: Ability = "ws") -> None:
        refuse_taken(port, "the backend")
        self.port = port
        program = str(BUILT / PROGRAMS[needs][1])
        self._process = start_pinned([program, str(port)], core, stdout=subprocess.PIPE)
        self.pid = self._process.pid
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise BenchError("the backend did not start; its message is above")
        self._descriptors = len(os.listdir(f"/proc/{self.pid}/fd"))

    def __exit__(self, *_: object) -> None:
        end(self._process)

    def wait_for_endings(self, left: int) -> None:
        """Return once at most `left` connections are open. BenchError when that takes too long."""
        deadline = time.monotonic() + ENDING_SECONDS
        while (open_ones := self._connections()) > left:
            if time.monotonic() > deadline:
                raise BenchError(
                    f"{open_ones} sessions are open at the backend that their clients have ended"
                )
            time.sleep(0.001)

    def _connections(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd")) - self._descriptors


class LoadGenerator(AbstractContextManager["LoadGenerator"]):
    """The load generator for what a load needs; each command waits until it is done. Its sessions,
    or for HTTP its connections, end with it.
    """

    def __init__(self, core: int, port: int, needs: Ability = "ws") -> None:
        self._process = start_pinned(
            [str(BUILT / PROGRAMS[needs][0]), str(port)],
            core,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end(self._process)

    def open(self, sessions: int, parallel: int) -> Mapping[str, float]:
        """Open sessions and keep them."""
        return self._tell(f"open {sessions} {parallel}")

    def churn(self, sessions: int, parallel: int, ending: EndingKind) -> Mapping[str, float]:
        """Open and end sessions: `churned` of them in `seconds`."""
        return self._tell(f"churn {sessions} {parallel} {ending}")

    def resume(self) -> None:
        """From now on TLS sessions begin with the newest ticket."""
        self._tell("resume")

    def crowd(self, sessions: int, parallel: int) -> Mapping[str, float]:
        """Open sessions that say nothing, and end all of them during the next `talk`."""
        return self._tell(f"crowd {sessions} {parallel}")

    def talk(self, size: int, every_ms: float, seconds: float) -> Mapping[str, float]:
        """Have every open session send a message each `every_ms`, whether or not the one before
        it has come back. Answers as `echo`, and `worst_us`; a message counts from when it was due.
        """
        return self._tell(f"talk {size} {every_ms} {seconds}")

    def send_text(self) -> None:
        """From now on messages are text."""
        self._tell("text")

    def send_compressed(self, payload: bytes) -> None:
        """From now on sessions agree on permessage-deflate without contexts, and every message is
        this compressed text.
        """
        self._tell(f"compressed {payload.hex()}")

    def echoed(self) -> bytes:
        """The payload that every echo had since `send_compressed`."""
        return bytes.fromhex(self._tell("echoed")["payload"])

    def echo(self, size: int, in_flight: int, seconds: float) -> Mapping[str, float]:
        """Have every open session echo: `echoes` in `seconds`, `p50_us` and `p99_us`; meanwhile
        `flooded` bytes of a flood are sent.
        """
        return self._tell(f"echo {size} {in_flight} {seconds}")

    def each(self, size: int, parallel: int) -> Mapping[str, float]:
        """Have every open session echo one message, `parallel` at a time. Answers as `echo`."""
        return self._tell(f"each {size} {parallel}")

    def ask(self, path: str, size: int, answered: int, seconds: float) -> Mapping[str, float]:
        """HTTP: have every connection GET from `path`, or POST `size` bytes to it, again and again,
        and expect `answered` bytes: `answers` in `seconds`, `p50_us` and `p99_us`.
        """
        method = "POST" if size else "GET"
        return self._tell(f"ask {method} {path} {size} {answered} {seconds}")

    def flood(self, first: str, frame: str) -> Mapping[str, float]:
        """From now on have one more session send `frame` without end, behind `first`."""
        return self._tell(f"flood {first} {frame}")

    def _tell(self, command: str) -> Mapping[str, Any]:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(f"{command}\n".encode())
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise BenchError(process.stderr.read().decode(errors="replace").strip())
        result: Mapping[str, Any] = json.loads(answer)
        return result
