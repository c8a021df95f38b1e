"""For a filter that relays by itself: connections, and many of them behind one descriptor.

    Wire         what a connection is read from and written to; a non-blocking socket is one
    raw_socket   the socket that a wire is, where nothing lies over it
    Poller       a set of descriptors that is itself one; `make_poller` makes the system's best
    READ, WRITE  what to wait for

What stands here is as stable as the rest of the API, but a filter has to use it with care: the
event loop is shared, and whoever holds it stops everybody else.
"""

from .net.poller import READ, WRITE, Poller, make_poller
from .net.wire import Wire, raw_socket

__all__ = ["READ", "WRITE", "Poller", "Wire", "make_poller", "raw_socket"]
