"""TLS over a socket, as a `Wire`: an `SSLObject` between two memory BIOs.

    what the peer sends   socket -> `incoming` -> SSLObject -> `recv`
    what it is sent       `send` -> SSLObject -> `outgoing` -> socket

The context must not allow renegotiation (`ssl.OP_NO_RENEGOTIATION`): then a refused `recv` only
waits for bytes, and a refused `send` only for room.
"""

from __future__ import annotations

import errno
import socket
import ssl
from contextlib import suppress

from .tlserrors import TlsError, tls_error

#: The most payload that a record may have, and the most bytes that it then takes (RFC 8446 §5.2).
RECORD_PAYLOAD = 16 * 1024
RECORD_SIZE = 5 + RECORD_PAYLOAD + 256
#: The most payload that is encrypted before it is sent. A system call for each record would cost
#: more, and so would what does not fit into one segment (64 KiB); `outgoing` never gives room back.
SEND_SIZE = 3 * RECORD_PAYLOAD


class TlsWire:
    """A TLS connection on `sock`, which is non-blocking, connected and from now on this wire's.

    sock      the socket below
    ssl       the `SSLObject`
    incoming  what it has still to read: bytes of the peer's
    outgoing  what it has written, and the socket has not taken
    owed      how many bytes of a refused `send` are encrypted already

    Call `handshake` before anything else. See `Wire` for the rules of `pending`, `send` and
    `shutdown`. An end of the TCP connection is an end of the stream, with or without a
    close_notify: what travels inside has to tell whether it is complete.
    """

    __slots__ = ("_ended", "_left", "_notified", "incoming", "outgoing", "owed", "sock", "ssl")

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        *,
        server_side: bool = True,
        server_hostname: str | None = None,
    ) -> None:
        self.sock: socket.socket = sock
        self.incoming: ssl.MemoryBIO = ssl.MemoryBIO()
        self.outgoing: ssl.MemoryBIO = ssl.MemoryBIO()
        self.ssl: ssl.SSLObject = context.wrap_bio(
            self.incoming, self.outgoing, server_side, server_hostname
        )
        self.owed: int = 0
        self._ended = False  # the peer sends nothing more
        self._notified = False  # it was sent our close_notify
        self._left = b""  # decrypted, and not yet received

    def fileno(self) -> int:
        return self.sock.fileno()

    # What the peer sends

    @property
    def pending(self) -> bool:
        """Whether bytes are here that no poll of the socket tells of."""
        if self._ended:
            return False
        return bool(self._left or self.incoming.pending or self.ssl.pending())

    def recv(self, size: int, /) -> bytes:
        buffer = bytearray(min(size, RECORD_PAYLOAD))
        del buffer[self.recv_into(buffer, len(buffer)) :]
        return bytes(buffer)

    def recv_into(self, buffer: bytearray | memoryview, size: int, /) -> int:
        """At most one record is received. TlsError, once the peer was sent an alert, when
        what came is not TLS.
        """
        if self._left:
            return self._receive_left(buffer, size)
        # At most two reads of the socket: records without payload could go on for ever.
        for fill in (not self.pending, True):
            if fill and not self.fill():
                return 0
            try:
                count: int = self.ssl.read(size, buffer)  # type: ignore[assignment]  # not bytes
            except ssl.SSLWantReadError:
                self.flush_some()  # the answer to a record that had no payload
            except ssl.SSLZeroReturnError:
                self._ended = True
                return 0
            except ssl.SSLError as error:
                raise self.failed(error) from None
            else:
                self._ended = not count
                return count
        raise BlockingIOError(errno.EAGAIN, "no payload has come yet")

    def _receive_left(self, buffer: bytearray | memoryview, size: int) -> int:
        piece, self._left = self._left[:size], self._left[size:]
        memoryview(buffer)[: len(piece)] = piece
        return len(piece)

    def fill(self) -> bool:
        """Take from the socket what is there, a record at most. False at the end of the stream,
        BlockingIOError when nothing is there.
        """
        if self._ended:
            return False
        data = self.sock.recv(RECORD_SIZE)
        if data:
            self.incoming.write(data)
        else:
            # OpenSSL is not told: it would refuse to write, too, and a peer may end one side only.
            self._ended = True
        return not self._ended

    def end_receiving(self) -> None:
        """Receive nothing more. When what came was not TLS, its alert is sent if there is room."""
        self._ended = True
        self.flush_some()

    def failed(self, error: ssl.SSLError) -> TlsError:
        """End receiving. Returns what to raise in place of `error`."""
        self.end_receiving()
        return tls_error(error)

    # What it is sent

    def send(self, data: bytes | bytearray | memoryview, /) -> int:
        """Encrypt and send, a piece at a time. After BlockingIOError call it again with data
        that begins with the same bytes: a piece of them may have been sent in part.
        """
        view = memoryview(data)
        sent = 0
        while sent < len(view):
            try:
                sent += self._send_piece(view[sent:])
            except BlockingIOError:
                if not sent:
                    raise
                break
        return sent

    @property
    def sent_ahead(self) -> int:
        """How much of a refused `send` the socket has taken, in bytes and at least."""
        return max(self.owed - self.outgoing.pending, 0)

    def _send_piece(self, data: memoryview) -> int:
        if not self.owed:
            try:
                self.owed = self.ssl.write(data[:SEND_SIZE])
            except ssl.SSLError as error:
                raise self.failed(error) from None
        elif self.owed > len(data):
            raise ValueError("the data that was refused has to be sent first")
        self.flush()
        sent, self.owed = self.owed, 0
        return sent

    def flush(self) -> None:
        """Send what is in `outgoing`. BlockingIOError when the socket does not take it all."""
        while self.outgoing.pending:
            data, sent = self.outgoing.read(), 0
            try:
                sent = self.sock.send(data)
            finally:
                if sent < len(data):
                    self.outgoing.write(data[sent:])

    def flush_some(self) -> None:
        """The same, as far as there is room."""
        with suppress(OSError):
            self.flush()

    # Its end

    def shutdown(self, how: int, /) -> None:
        """Send a close_notify in front of the FIN. BlockingIOError when there is no room for it:
        then call this again.
        """
        if how != socket.SHUT_RD:
            self._notify()
            self.flush()
        self.sock.shutdown(how)

    def close(self) -> None:
        """Close, with a close_notify if there is room for it."""
        with suppress(OSError):
            self._notify()
            self.flush()
        self.sock.close()

    def _notify(self) -> None:
        """Write our close_notify. `unwrap` looks for the peer's at once, and fails for good when
        it finds something else: so all that has come is kept from it.
        """
        if self._notified:
            return
        self._notified = True
        if self.ssl.pending():
            self._left = self.ssl.read(RECORD_PAYLOAD)
        records = self.incoming.read()
        with suppress(ssl.SSLError):  # the peer's own close_notify is not there
            self.ssl.unwrap()
        self.incoming.write(records)
