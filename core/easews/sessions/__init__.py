"""What outlives a request: open sessions, and how a client's connection becomes one.

upgrade     the answer of a filter that has agreed on another protocol with its backend
connection  the client's connection, handed over to that filter
registry    the open sessions of the process: listed, counted, told to whoever listens
hooks       what filters hear of a session
session     one open session, as the engine and filters see it
ending      what has gone through it, and how it ended
opening     what is known of it when it opens

The server sends the `Upgrade` and calls its `start` with the client's `Connection`. The filter
relays, and reports to the connection when the session opens and how it ended. An open session is
listed in `Sessions`, counted, logged, and can be closed from there.
"""

from .connection import Connection, Lease
from .ending import Ending, Side, Traffic
from .hooks import Hooks
from .opening import Opening, Route
from .registry import Sessions
from .session import Frame, Session
from .upgrade import Upgrade

__all__ = [
    "Connection",
    "Ending",
    "Frame",
    "Hooks",
    "Lease",
    "Opening",
    "Route",
    "Session",
    "Sessions",
    "Side",
    "Traffic",
    "Upgrade",
]
