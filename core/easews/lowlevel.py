"""For filters that relay data by themselves: connections, and pollers for many of them.

    Wire         reads from and writes to a connection; a non-blocking socket is one
    raw_socket   the socket behind a wire, if there is nothing in between
    Poller       waits for many descriptors, and has a descriptor itself; `make_poller` makes one
    READ, WRITE  the events to wait for

These names are as stable as the rest of the API. Use them with care: the event loop is shared,
and code that does not yield stops every other request.
"""

from .net.poller import READ, WRITE, Poller, make_poller
from .net.wire import Wire, raw_socket

__all__ = ["READ", "WRITE", "Poller", "Wire", "make_poller", "raw_socket"]
