"""Load generator and echo backend, on each other; what is read from /proc."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha1
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any, get_args

import pytest
from bench.generators import Backend, LoadGenerator
from bench.jsontext import compressed, text_of
from bench.loads import EndingKind
from bench.measure import cores, cpu_seconds, process_trees, pss_kib
from bench.tools import (
    BUILT,
    BenchError,
    build_tools,
    free_port,
    make_certificate,
    refuse_taken,
)
from tests.conftest import need

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the benchmark is for Linux"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler"),
    pytest.mark.xdist_group("bench"),  # one build of the tools
]


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    build_tools()
    with Backend(cores()[1], free_port()) as backend:
        yield backend


@pytest.fixture
def generator(backend: Backend) -> Iterator[LoadGenerator]:
    with LoadGenerator(cores()[1], backend.port) as load:
        yield load
    backend.wait_for_endings(left=0)


def test_every_open_session_echoes(generator: LoadGenerator) -> None:
    assert generator.open(3, 2)["opened"] == 3
    for size in (1, 125, 126, 65535, 65536, 300_000, 3_000_000):
        done = generator.echo(size, 4, 0.01)
        assert done["echoes"] >= 3 * 4
        assert done["p50_us"] <= done["p99_us"]


@pytest.mark.parametrize("ending", get_args(EndingKind))
def test_sessions_are_opened_and_ended(generator: LoadGenerator, ending: EndingKind) -> None:
    assert generator.churn(50, 4, ending)["churned"] == 50


def test_messages_may_be_text(generator: LoadGenerator) -> None:
    generator.send_text()
    generator.open(2, 2)
    assert generator.echo(300, 4, 0.01)["echoes"] >= 2 * 4


def test_compressed_messages_are_echoed_as_they_are(generator: LoadGenerator) -> None:
    payload = compressed(text_of(4096))
    generator.send_compressed(payload)
    generator.open(3, 2)
    assert generator.each(4096, 2)["echoes"] == 3
    assert generator.echo(4096, 4, 0.01)["echoes"] >= 3 * 4
    assert generator.echoed() == payload


@pytest.mark.parametrize(
    ("frames", "fault"),
    [
        (["c103aaaaab", "c103aaaaaa"], "an echo differs"),
        (["c102aaaa", "c103aaaaaa"], "an echo begins with 0xc1 and has 3 bytes"),
        (["8103aaaaaa"], "an echo begins with 0x81"),
    ],
)
def test_compressed_echoes_have_to_be_like_the_first(frames: list[str], fault: str) -> None:
    build_tools()
    with peer(*frames) as port, LoadGenerator(cores()[1], port) as load:
        load.send_compressed(b"anything")
        load.open(1, 1)
        for frame in frames[:-1]:
            load.each(4096, 1)
            assert load.echoed() == bytes.fromhex(frame[4:])
        with pytest.raises(BenchError, match=fault):
            load.each(4096, 1)


def test_a_server_that_does_not_compress_is_told() -> None:
    build_tools()
    with peer(agrees="") as port, LoadGenerator(cores()[1], port) as load:
        load.send_compressed(b"anything")
        with pytest.raises(BenchError, match="compression was not agreed to"):
            load.open(1, 1)


@contextmanager
def peer(*frames: str, agrees: str = "permessage-deflate") -> Iterator[int]:
    """A server that answers each message of its one session by the next of these frames."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=answer_with, args=(server, frames, agrees))
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def answer_with(server: socket.socket, frames: Sequence[str], agrees: str) -> None:
    connection, _ = server.accept()
    with connection:
        request = connection.recv(4096).decode()
        key = request.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0].encode()
        digest = b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
        connection.sendall(
            f"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {digest}\r\n"
            f"Sec-WebSocket-Extensions: {agrees}\r\n\r\n".encode()
        )
        for frame in frames:
            connection.recv(4096)
            connection.sendall(bytes.fromhex(frame))


def test_every_open_session_echoes_one_message(generator: LoadGenerator) -> None:
    generator.open(20, 4)
    assert generator.each(16384, 3)["echoes"] == 20


def test_sessions_talk_at_set_times_while_a_crowd_ends(
    generator: LoadGenerator, backend: Backend
) -> None:
    assert generator.open(2, 2)["opened"] == 2
    assert generator.crowd(200, 8)["opened"] == 200
    done = generator.talk(125, 10, 0.1)
    assert done["echoes"] == 2 * 10
    assert done["p50_us"] <= done["p99_us"] <= done["worst_us"]
    backend.wait_for_endings(left=2)


def test_sessions_that_outlive_their_clients_are_told(
    generator: LoadGenerator, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.generators.ENDING_SECONDS", 0.0)
    generator.open(3, 1)
    with pytest.raises(BenchError, match="3 sessions are open at the backend"):
        backend.wait_for_endings(left=0)
    monkeypatch.undo()


def test_sessions_go_on_beside_one_that_floods(generator: LoadGenerator) -> None:
    assert generator.open(2, 2)["opened"] == 2
    assert generator.flood("0200", "000178")["opened"] == 1
    done = generator.echo(125, 1, 0.05)
    assert done["echoes"] >= 2
    assert done["flooded"] > 0
    assert generator.churn(5, 2, "close")["churned"] == 5


def test_what_the_server_does_wrong_is_told() -> None:
    build_tools()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        LoadGenerator(cores()[1], server.getsockname()[1]) as load,
    ):
        thread = Thread(target=answer_once, args=(server, b"HTTP/1.1 404 Not Found\r\n\r\n"))
        thread.start()
        with pytest.raises(BenchError, match="404 Not Found"):
            load.open(1, 1)
        thread.join()


def answer_once(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(answer)


@pytest.fixture
def over_tls(backend: Backend) -> Iterator[LoadGenerator]:
    need("OpenSSL headers")
    build_tools({"tls"})
    make_certificate()
    with terminator(backend.port) as port, LoadGenerator(cores()[1], port, "tls") as load:
        yield load


def test_sessions_over_tls_echo(over_tls: LoadGenerator) -> None:
    assert over_tls.open(3, 2)["opened"] == 3
    for size in (1, 125, 16384, 300_000):
        assert over_tls.echo(size, 4, 0.01)["echoes"] >= 3 * 4
        assert over_tls.each(size, 2)["echoes"] == 3


def test_sessions_over_tls_are_resumed(over_tls: LoadGenerator) -> None:
    assert over_tls.churn(20, 4, "close")["churned"] == 20
    over_tls.resume()
    assert over_tls.churn(50, 8, "close")["churned"] == 50


def test_a_session_without_tls_has_no_ticket(generator: LoadGenerator) -> None:
    with pytest.raises(BenchError, match="no ticket"):
        generator.resume()


@contextmanager
def terminator(backend_port: int) -> Iterator[int]:
    """A proxy that takes TLS away, in a thread; gives its port."""
    ports: Queue[int] = Queue()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = Thread(target=run, args=(loop, terminate_tls(backend_port, ports.put, stop)))
    thread.start()
    yield ports.get()
    loop.call_soon_threadsafe(stop.set)
    thread.join()


def run(loop: asyncio.AbstractEventLoop, program: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(program)


async def terminate_tls(
    backend_port: int, tell: Callable[[int], None], stop: asyncio.Event
) -> None:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", backend_port)
        try:
            await asyncio.gather(copy(reader, back_writer), copy(back_reader, writer))
        finally:
            writer.transport.abort()
            back_writer.transport.abort()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(BUILT / "certificate.pem", BUILT / "key.pem")
    server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
    async with server:
        tell(server.sockets[0].getsockname()[1])
        await stop.wait()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    ("path", "size", "answered"), [("/1", 0, 1), ("/65536", 0, 65536), ("/100", 65536, 100)]
)
def test_connections_ask_and_are_answered(path: str, size: int, answered: int) -> None:
    build_tools({"http"})
    core = cores()[1]
    with (
        Backend(core, free_port(), "http") as backend,
        LoadGenerator(core, backend.port, "http") as load,
    ):
        assert load.open(4, 1)["opened"] == 4
        done = load.ask(path, size, answered, 0.02)
        assert done["answers"] >= 4
        assert done["p50_us"] <= done["p99_us"]
        with pytest.raises(BenchError, match=f"(?s)answered so:.*Content-Length: {answered}"):
            load.ask(path, size, answered + 1, 0.02)


def test_who_has_no_openssl_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'fatal error: openssl/err.h: No such file' >&2; exit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setattr("bench.tools.BUILT", tmp_path / "built")
    with pytest.raises(BenchError, match="apt-get install libssl-dev openssl"):
        build_tools({"tls"})


def test_a_taken_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(BenchError, match=f"the proxy cannot have port {port}"):
            refuse_taken(port, "the proxy")


def test_children_are_counted() -> None:
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(); input()'])"
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        both, (child,) = [parent.pid], set(process_trees([parent.pid])) - {parent.pid}
        assert pss_kib(both) > pss_kib([child]) > 0
        assert cpu_seconds(both) > cpu_seconds([child]) > 0
        parent.communicate(b"\n")
