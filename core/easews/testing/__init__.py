"""The test kit for filter authors; easews' own tests use it, too.

    contexts  make_context, make_filter, load_config: a filter by itself
    peers     FakeWire, OpenSession: what a filter talks to, without a network
    running   gateway, Running: a whole gateway on ports of its own

A filter by itself needs its fields and a context::

    async def test_it_stamps_the_request():
        ctx = make_context("/path")
        assert await make_filter(Stamp, text="hi").handle(ctx) is None
        assert ctx.request.headers.get("X-Stamp") == "hi"

In a whole gateway, on a port of its own, with real sockets::

    async def test_it_stamps_what_the_backend_gets():
        async with gateway(CONFIG, Stamp) as running:
            ...  # connect to running.address

With anyio's plugin, pytest runs such tests on asyncio and on trio.

    contexts  a filter by itself: contexts, instances, configs from text
    running   a whole gateway
    peers     stand-ins for a client's connection and for a session
"""

from .contexts import kinds_with, load_config, make_context, make_filter
from .peers import FakeWire, OpenSession
from .running import Running, gateway

__all__ = [
    "FakeWire",
    "OpenSession",
    "Running",
    "gateway",
    "kinds_with",
    "load_config",
    "make_context",
    "make_filter",
]
