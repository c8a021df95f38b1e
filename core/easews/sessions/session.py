"""One open session: what the engine and filters may ask of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from ..messages import Data, Sender
from ..notes import Notes
from .ending import Traffic
from .opening import Opening


class Frame(NamedTuple):
    """A WebSocket frame as one side has sent it (RFC 6455 §5.2), for those who look on.

    at          when it came, by `time.time`
    sender      who has sent it
    opcode      0 continuation, 1 text, 2 binary, 8 Close, 9 ping, 10 pong
    fin         whether it is the last of its message
    size        bytes of its payload, as they were sent
    compressed  whether it begins a compressed message (RFC 7692 §6)
    masked      whether its payload is masked, as those of clients are
    code        that of a Close, None where it has none
    payload     the text that it begins with, up to 1 KiB; None where none is shown
    """

    at: float
    sender: Sender
    opcode: int
    fin: bool
    size: int
    compressed: bool = False
    masked: bool = False
    code: int | None = None
    payload: str | None = None


class Session(Protocol):
    """One open session, as the engine and other filters see it.

    No method raises, and only `sleep` waits. Call them in the event loop.
    """

    @property
    def opening(self) -> Opening:
        """What was known when it opened."""

    @property
    def held(self) -> int:
        """How many bytes are held for peers that read slowly."""

    def traffic(self) -> tuple[Traffic, Traffic]:
        """What the client and the backend have sent so far."""

    def close(self, code: int, reason: str) -> None:
        """Send Close to both sides at the next frame boundary, then end the session.

        Returns at once. `Sessions.on_end` reports when the session is over.
        """

    def expire(self, at: float, code: int, reason: str) -> None:
        """Close the session at the time `at`, by `time.time`. The earliest such time counts."""

    def ping(self) -> None:
        """Send both sides a ping soon; `Traffic.rtt` then has the time of their pongs."""

    @property
    def notes(self) -> Notes:
        """What filters keep for this session, one value of each class. It begins with what they
        have put into the notes of the handshake's context.
        """

    def send_to_client(self, data: Data) -> None:
        """Send the client a message of your own: text for str, binary for bytes.

        It goes out at the end of the message that is being sent, and no filter reads it. A client
        that does not take what it is sent so gets Close 1008. After the session's end it does
        nothing.
        """

    def send_to_backend(self, data: Data) -> None:
        """The same to the backend."""

    def now(self) -> float:
        """Seconds on a clock that only goes forward. In a test it goes as the test says."""

    async def sleep(self, seconds: float) -> None:
        """Wait by that clock, as an async hook may. The sender is not read meanwhile."""

    def tap(
        self, tell: Callable[[Frame], None], payload: bool = False
    ) -> Callable[[], None] | None:
        """Call `tell` with each frame that either side sends from now on, before it goes on and
        before filters read it. `payload`: also with the text of messages that are not compressed.

        Returns what ends the tap, or None when the frames of this session cannot be told. As long
        as there is a tap, the session costs several times as much. `tell` must not raise, nor do
        anything to the session.
        """
