"""Connections: a host's addresses, TCP to one of them, and TLS with what its certificate says."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Literal

import anyio
from anyio import to_thread
from anyio.abc import ByteStream
from anyio.streams.tls import TLSAttribute, TLSStream

from .asking import Target
from .seen import AddressSeen, TlsFault, TlsSeen

_EXPIRED, _EARLY, _NAME, _IP = 10, 9, 62, 64
_FAULTS: Mapping[int, TlsFault] = {_EXPIRED: "expired", _EARLY: "early", _NAME: "name", _IP: "name"}
#: OpenSSL's words for an answer that is no TLS.
_NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
)


class Gone(Exception):
    """The connection is over. `how` and the text are those of `seen.Lost`."""

    def __init__(self, how: Literal["closed", "reset"], text: str = "") -> None:
        super().__init__(text)
        self.how: Literal["closed", "reset"] = how


@contextmanager
def told_as_gone() -> Iterator[None]:
    """Has one exception for all ways in which a connection ends."""
    try:
        yield
    except anyio.EndOfStream:
        raise Gone("closed") from None
    except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
        reset = isinstance(error.__cause__, ConnectionError)
        raise Gone("reset" if reset else "closed") from None
    except (OSError, ssl.SSLError) as error:
        raise Gone("reset", str(error)) from None


async def look_up(target: Target) -> list[str]:
    """The addresses of a host, each once. OSError when it has none."""
    if target.is_unix:
        return [target.host]
    found = await to_thread.run_sync(
        lambda: socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM),
        abandon_on_cancel=True,
    )
    return [*dict.fromkeys(str(address[4][0]) for address in found)]


async def try_address(target: Target, ip: str, timeout: float) -> AddressSeen:
    """Whether this address accepts a connection."""
    started = monotonic()
    error = ""
    try:
        stream = await connect(target, ip, timeout)
        await anyio.aclose_forcefully(stream)
    except TimeoutError:
        error = f"no answer within {timeout:g} s"
    except OSError as failed:
        error = _why(failed)
    return AddressSeen(ip, monotonic() - started, error)


def _why(error: BaseException) -> str:
    """The innermost reason: anyio wraps it."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, BaseExceptionGroup):
        return _why(error.exceptions[0])
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error)


async def connect(target: Target, ip: str, timeout: float) -> ByteStream:
    """TCP to this address. OSError when that fails, TimeoutError when it takes too long."""
    with anyio.fail_after(timeout):
        if target.is_unix:
            return await anyio.connect_unix(ip)
        return await anyio.connect_tcp(ip, target.port)


async def secured(stream: ByteStream, target: Target, context: ssl.SSLContext) -> TLSStream:
    """TLS on it. ssl.SSLError or Gone when there is no agreement; then it is closed."""
    try:
        return await TLSStream.wrap(
            stream,
            server_side=False,
            hostname=target.host,
            ssl_context=context,
            standard_compatible=False,
        )
    except BaseException as error:
        await anyio.aclose_forcefully(stream)
        if isinstance(error, (anyio.EndOfStream, anyio.BrokenResourceError)):
            raise Gone("closed", "it is closed during the TLS handshake") from None
        raise


def strict_context(authority: Path | None) -> ssl.SSLContext:
    """What a browser accepts, and certificates of this authority. OSError or ssl.SSLError when it
    cannot be read."""
    context = ssl.create_default_context()
    if authority is not None:
        context.load_verify_locations(authority)
    return context


def open_context() -> ssl.SSLContext:
    """Accepts every certificate, so that the rest can be looked at, too."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def look_at_tls(target: Target, ip: str, strict: ssl.SSLContext, timeout: float) -> TlsSeen:
    """What TLS comes to at this address."""
    fault, detail = await _try_tls(target, ip, strict, timeout)
    if fault in ("not-tls", "failed"):
        return TlsSeen(fault, detail)
    try:
        with anyio.fail_after(timeout):
            stream = await secured(await connect(target, ip, timeout), target, open_context())
    except (Gone, OSError) as error:
        return TlsSeen(fault or "failed", detail or str(error))
    session = stream.extra(TLSAttribute.ssl_object)
    certificate = session.getpeercert(binary_form=True)
    version = session.version() or ""
    await anyio.aclose_forcefully(stream)
    return _seen(fault, detail, version, certificate or b"")


async def _try_tls(
    target: Target, ip: str, strict: ssl.SSLContext, timeout: float
) -> tuple[TlsFault, str]:
    """Why a browser refuses it, and what OpenSSL says of that; both are empty when it does not."""
    try:
        with anyio.fail_after(timeout):
            stream = await secured(await connect(target, ip, timeout), target, strict)
        await anyio.aclose_forcefully(stream)
    except ssl.SSLCertVerificationError as error:
        return _FAULTS.get(error.verify_code, "untrusted"), error.verify_message
    except ssl.SSLError as error:
        reason = error.reason or str(error)
        return ("not-tls" if reason in _NOT_TLS else "failed"), reason.replace("_", " ").lower()
    except TimeoutError:
        return "not-tls", f"no answer to the TLS handshake within {timeout:g} s"
    except (Gone, OSError) as error:
        return "failed", str(error) or "the connection is closed during the TLS handshake"
    return "", ""


def _seen(fault: TlsFault, detail: str, version: str, certificate: bytes) -> TlsSeen:
    from cryptography import x509

    read = x509.load_der_x509_certificate(certificate)
    try:
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = [*names.get_values_for_type(x509.DNSName)]
        hosts += map(str, names.get_values_for_type(x509.IPAddress))
    except x509.ExtensionNotFound:
        hosts = []
    until = read.not_valid_after_utc
    left = (until - datetime.now(UTC)).total_seconds() / 86400
    issuer = read.issuer.rfc4514_string()
    return TlsSeen(fault, detail, version, tuple(hosts), issuer, until, left)
