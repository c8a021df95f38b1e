"""The test kit for filter authors; easews' own tests use it, too.

    contexts       make_context, make_filter, load_config: a filter by itself
    conversations  conversation: a client and a backend that talk through filters, in memory
    words          Peer: what a client or a backend does, and is expected to receive
    memory         their session in memory
    lanes          one direction of it
    stage          the filters of a conversation at work
    clock          Clock: their time, which goes as the test says
    kinds          check_kind: whether users are told all about a kind, and its hooks fit
    imports        what a filter's package takes of easews that is internal
    conformance    FilterConformance: tests for every filter, to inherit
    realpeers      real_client, real_backend: over real sockets, with faults on demand
    sockets        SocketPeer: either of them on its connection
    running        gateway, Running: a whole gateway on ports of its own
    peers          FakeWire, OpenSession: what a filter talks to, without a network

A filter of messages is tested by a conversation, without a network and without waiting::

    async def test_messages_are_shouted():
        async with conversation(make_filter(Shout)) as talk:
            await talk.client.sends("hi")
            await talk.backend.receives("HI")

A filter of requests needs its fields and a context::

    async def test_it_stamps_the_request():
        ctx = make_context("/path")
        assert await make_filter(Stamp, text="hi").handle(ctx) is None
        assert ctx.request.headers.get("X-Stamp") == "hi"

In a whole gateway, on a port of its own, with real sockets::

    async def test_it_stamps_what_the_backend_gets():
        async with gateway(CONFIG, Stamp) as running:
            ...  # connect to running.address

With anyio's plugin, pytest runs such tests on asyncio and on trio.
"""

from .clock import Clock
from .conformance import FilterConformance
from .contexts import kinds_with, load_config, make_context, make_filter
from .conversations import Conversation, conversation
from .kinds import KindFinding, check_kind, kind_findings
from .peers import FakeWire, OpenSession
from .realpeers import RealBackend, real_backend, real_client
from .running import Running, gateway
from .sockets import SocketPeer
from .words import Peer

__all__ = [
    "Clock",
    "Conversation",
    "FakeWire",
    "FilterConformance",
    "KindFinding",
    "OpenSession",
    "Peer",
    "RealBackend",
    "Running",
    "SocketPeer",
    "check_kind",
    "conversation",
    "gateway",
    "kind_findings",
    "kinds_with",
    "load_config",
    "make_context",
    "make_filter",
    "real_backend",
    "real_client",
]
