"""scripts/ws.py, the client that the pages use, in front of a server that does as it is told."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from threading import Thread

import pytest
from tests.e2e.gateway import PATIENCE
from tests.repo.pages import ROOT
from websockets.sync.server import ServerConnection, serve

SCRIPT = ROOT / "scripts" / "ws.py"


def obey(ws: ServerConnection) -> None:
    for word in ws:
        if word == "twice":
            ws.send("one")
            ws.send("two")
        elif word == "close":
            ws.send("the last one")
            ws.close(4000, "enough")
        elif word != "quiet":
            ws.send(word)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve(obey, "127.0.0.1", 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        server.shutdown()
        thread.join(PATIENCE)


def run(*arguments: str, typed: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        input=typed,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_what_follows_the_last_answer_is_printed(url: str) -> None:
    assert run(url, "hello", "twice") == (0, "hello\none\ntwo\n", "")


def test_a_close_that_follows_the_last_answer_is_printed(url: str) -> None:
    closed = (1, "hello\nthe last one\n", "ws: closed with 4000: enough\n")
    assert run(url, "hello", "close") == closed


def test_each_typed_line_is_a_message(url: str) -> None:
    assert run(url, typed="hello\nto you\nand me") == (0, "hello\nto you\nand me\n", "")


def test_help_says_how_to_use_it() -> None:
    for option in ("-h", "--help"):
        status, out, err = run(option)
        assert (status, err) == (0, "")
        assert "each line that you type is a message" in out


def test_a_message_without_an_answer_is_told(url: str) -> None:
    code = f"import ws; ws.PATIENCE = 0.01; ws.main({url!r}, ['quiet', 'hello'])"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=SCRIPT.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        try:
            assert program.stdout.readline() == "hello\n"
            last = "ws: 1 of 2 messages has no answer yet; Ctrl-C ends it\n"
            assert last in iter(program.stderr.readline, "")
            program.send_signal(signal.SIGINT)
            assert program.wait(PATIENCE) == 0
        finally:
            program.kill()
