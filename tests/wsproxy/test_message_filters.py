"""Message filters in a gateway, with clients and servers on `websockets`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from anyio import to_thread
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from easews import Context, Filter, Message, Reads, Session
from easews.testing import gateway

CONFIG = """
kind: Pipeline
name: pipeline
filters:
- {{kind: Greets, name: greets}}
- {{kind: Masks, name: masks}}
- kind: WebSocketProxy
  name: proxy
  pools:
  - servers: [{{url: 'ws://127.0.0.1:{port}'}}]
    clientMaxMsgSize: {limit}
---
kind: HTTPServer
name: server
port: 80
rules: [{{paths: [{{pathPrefix: /, clientMaxBodySize: -1, backend: pipeline}}]}}]
"""


class User:
    """Who the client is."""

    def __init__(self, name: str) -> None:
        self.name = name


class Greets(Filter):
    """Greets the client by the name that its handshake has."""

    kind = "Greets"

    async def handle(self, ctx: Context) -> None:
        ctx.notes.put(User(ctx.request.headers.get("x-user")))

    def on_open(self, session: Session) -> None:
        session.send_to_client(f"hello {session.notes[User].name}")


class Masks(Filter):
    """Masks a word in what clients send."""

    kind = "Masks"
    reads = Reads(senders=("client",), max_size=100_000)

    def on_message(self, session: Session, message: Message) -> Any:
        return str(message.data).replace("secret", "******")


@pytest.fixture
def echo_port() -> Iterator[int]:
    """The port of a server that echoes."""

    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with serve(echo, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_a_filter_changes_messages_on_their_way(
    echo_port: int, compression: str | None
) -> None:
    texts = ["nothing to see", "a secret", "x" * 90_000, "nothing to see", "secret" * 1000]

    def talk(port: int) -> list[Any]:
        url, user = f"ws://127.0.0.1:{port}", {"X-User": "anne"}
        with connect(url, compression=compression, additional_headers=user) as client:
            heard = [client.recv()]
            for text in texts:
                client.send(text)
                heard.append(client.recv())
            return heard

    config = CONFIG.format(port=echo_port, limit=-1)
    async with gateway(config, Greets, Masks) as running:
        heard = await to_thread.run_sync(talk, running.address[1])
    assert heard == ["hello anne", *(text.replace("secret", "******") for text in texts)]


@pytest.mark.parametrize(("limit", "size", "most"), [(-1, 100_001, 100_000), (10, 11, 10)])
async def test_the_smaller_of_both_limits_holds_for_inflated_messages(
    echo_port: int, limit: int, size: int, most: int
) -> None:
    def talk(port: int) -> tuple[int, str]:
        with connect(f"ws://127.0.0.1:{port}", additional_headers={"X-User": "a"}) as client:
            client.recv()
            client.send("x" * most)
            assert client.recv() == "x" * most
            client.send("x" * size)
            with pytest.raises(ConnectionClosed) as closed:
                client.recv()
            assert closed.value.rcvd is not None
            return closed.value.rcvd.code, closed.value.rcvd.reason

    config = CONFIG.format(port=echo_port, limit=limit)
    async with gateway(config, Greets, Masks) as running:
        ended = await to_thread.run_sync(talk, running.address[1])
    assert ended == (1009, f"message over {most} bytes")
