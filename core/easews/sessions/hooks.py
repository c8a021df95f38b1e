"""What whoever relays a session calls for the filters that its handshake has passed."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from ..messages import MaybeLater, Message, Reads, Sender
from .ending import Ending
from .session import Session


class Hooks(Protocol):
    """The hooks of the filters that a session's handshake has passed, as one.

    Whoever relays a session calls them. Nothing that a filter raises comes out of them.
    """

    @property
    def tick(self) -> float:
        """Seconds from one `ticked` to the next; infinity when nobody wants it."""

    def reads(self, sender: Sender) -> Reads | None:
        """What is read of the messages of `sender`; None: nothing."""

    def opened(self, session: Session) -> Awaitable[None] | None:
        """It has opened: to be awaited before the first `message`, if there is what to."""

    def message(self, session: Session, message: Message) -> MaybeLater:
        """What goes on in place of `message`: itself when nobody has changed it.

        At once, or to be awaited; until then no other message of its sender may be given.
        """

    def ticked(self, session: Session) -> Awaitable[None] | None:
        """`tick` seconds have passed."""

    def ended(self, session: Session, ending: Ending) -> Awaitable[None] | None:
        """It is over."""
