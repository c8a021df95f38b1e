"""The demo's backend: an echo for every client, and a chat for the demo's page.

Who offers the subprotocol `easews.demo` chats: it is told in JSON what its handshake looked like
on arrival, who is here, and what anybody says, itself included. All others get their echo and
nothing else; the chat hears them, too.
"""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from itertools import count
from threading import RLock
from typing import Any

from wsproto.connection import ConnectionState
from wsproto.events import Event, Message, Request, TextMessage

from echo import EchoHandler, EchoServer

SUBPROTOCOL = "easews.demo"
#: Characters of a message that the chat is told.
LONGEST = 2000


class ChatHandler(EchoHandler):
    """One connection. A chatter's is touched by all threads, and under the server's lock only."""

    server: ChatServer

    def setup(self) -> None:
        super().setup()
        self.number = next(self.server.numbers)
        self.head = b""
        self.words = ""

    @property
    def chats(self) -> bool:
        return self.number in self.server.chatters

    def receive(self, data: bytes) -> None:
        if self.ws.state is ConnectionState.CONNECTING:
            self.head += data
        if self.chats:
            with self.server.lock:
                super().receive(data)
        else:
            super().receive(data)

    def answer(self, event: Event) -> None:
        if not (self.chats and isinstance(event, Message)):
            super().answer(event)
        match event:
            case Request() if event.subprotocols[:1] == [SUBPROTOCOL]:
                self.server.join(self)
            case TextMessage():
                self.hear(event)

    def hear(self, part: TextMessage) -> None:
        self.words = (self.words + part.data)[:LONGEST]
        if part.message_finished:
            self.server.tell_all({"kind": "said", "by": self.number, "text": self.words})
            self.words = ""

    def send(self, event: Event) -> None:
        if not self.chats:
            super().send(event)
            return
        data = self.ws.send(event)
        with suppress(OSError):
            # One who does not listen is sent away: it must not hold up the others.
            if self.request.send(data, socket.MSG_DONTWAIT) != len(data):
                self.request.shutdown(socket.SHUT_RDWR)

    def tell(self, news: dict[str, Any]) -> None:
        if self.ws.state is ConnectionState.OPEN:
            self.send(TextMessage(json.dumps(news)))

    def finish(self) -> None:
        self.server.leave(self)


class ChatServer(EchoServer):
    """The room: who chats, by number."""

    handler = ChatHandler

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.numbers = count(1)
        self.chatters: dict[int, ChatHandler] = {}
        self.lock = RLock()

    def join(self, chatter: ChatHandler) -> None:
        head = chatter.head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        with self.lock:
            self.chatters[chatter.number] = chatter
            chatter.tell({"kind": "hello", "you": chatter.number, "head": head})
            self.tell_who_is_here()

    def leave(self, chatter: ChatHandler) -> None:
        with self.lock:
            if self.chatters.pop(chatter.number, None):
                self.tell_who_is_here()

    def tell_who_is_here(self) -> None:
        self.tell_all({"kind": "people", "here": list(self.chatters)})

    def tell_all(self, news: dict[str, Any]) -> None:
        with self.lock:
            for chatter in list(self.chatters.values()):
                chatter.tell(news)
