"""For filters that relay data by themselves: connections, and pollers for many of them.

    Wire         reads from and writes to a connection; a non-blocking socket is one
    raw_socket   the socket that a wire is, if there is nothing in between
    socket_of    the socket below a wire, for its options
    pending      whether a layered wire has bytes that no poll tells of
    TlsWire      TLS on a socket
    Poller       waits for many descriptors, and has a descriptor itself; `make_poller` makes one
    READ, WRITE  the events to wait for
    whenever_readable  calls a function whenever a descriptor, such as a poller's, is readable

These names are as stable as the rest of the API. Use them with care: the event loop is shared,
and code that does not yield stops every other request.
"""

from .net.poller import READ, WRITE, Poller, make_poller
from .net.readiness import whenever_readable
from .net.tls import TlsWire
from .net.wire import Wire, pending, raw_socket, socket_of

__all__ = [
    "READ",
    "WRITE",
    "Poller",
    "TlsWire",
    "Wire",
    "make_poller",
    "pending",
    "raw_socket",
    "socket_of",
    "whenever_readable",
]
