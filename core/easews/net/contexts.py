"""TLS contexts from PEM in memory.

A listener has one front context that all of its connections begin with. It has the settings, and
the keys of the session tickets, but no certificate: for each ClientHello a context with the
certificate for its server name takes over. So certificates can be replaced while tickets stay
valid, and a ticket resumes a session whatever the name.
"""

from __future__ import annotations

import os
import re
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

#: Forward secrecy and authenticated encryption only; TLS 1.3 has suites of its own.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
PROTOCOLS = ["http/1.1"]

#: For those who only pass one on.
Context = ssl.SSLContext


class ContextFault(Exception):
    """OpenSSL refuses a certificate, key or list of ciphers; the text says why."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What all contexts of a listener have in common.

    minimum      the oldest version of TLS
    ciphers      OpenSSL's list for TLS 1.2
    authorities  PEM of those that sign clients' certificates; empty: clients are not asked for one
    required     whether a client without a certificate is refused
    """

    minimum: str = "TLSv1.2"
    ciphers: str = CIPHERS
    authorities: str = ""
    required: bool = True


def front_context(settings: Settings, choose: Callable[[str], ssl.SSLContext]) -> ssl.SSLContext:
    """The context that connections begin with; `choose` gets the server name, or an empty one."""
    context = _context(settings)

    def switch(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = choose(name or "")

    context.sni_callback = switch
    return context


def certified_context(
    certificate: bytes, key: bytes, password: str = "", settings: Settings | None = None
) -> ssl.SSLContext:
    """A context with a certificate and its key. ContextFault when OpenSSL refuses them."""
    context = _context(settings or Settings())
    add_pair(context, certificate, key, password)
    return context


def add_pair(context: ssl.SSLContext, certificate: bytes, key: bytes, password: str) -> None:
    """Have `context` show this certificate. ContextFault when OpenSSL refuses it or its key."""
    try:
        with _as_file(certificate + b"\n" + key) as path:
            # Without a function OpenSSL would ask for the password on the terminal.
            context.load_cert_chain(path, password=lambda: password)
    except ssl.SSLError as error:
        raise ContextFault(f"OpenSSL refuses it: {reason_of(error)}") from None


def client_context(
    minimum: str = "TLSv1.2", authorities: str = "", *, insecure: bool = False
) -> ssl.SSLContext:
    """A context for connections to servers. `authorities` are PEM; without them those count that
    this machine knows. With `insecure` any certificate of a server will do.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _configure(context, minimum)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif authorities:
        context.load_verify_locations(cadata=authorities)
    else:
        context.load_default_certs()
    return context


def check_ciphers(ciphers: str) -> None:
    """ContextFault when OpenSSL knows none of them."""
    _context(Settings(ciphers=ciphers))


def pass_over_garbled_names() -> None:
    """No traceback on stderr for a server name that is not ASCII, as any client can send it.

    Python's ssl gives it to `sys.unraisablehook`, and then refuses the client, which is told by
    whoever has made the handshake.
    """
    others = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs, /) -> None:
        is_name = isinstance(unraisable.object, bytes)
        if not (is_name and isinstance(unraisable.exc_value, UnicodeDecodeError)):
            others(unraisable)

    sys.unraisablehook = hook


def reason_of(error: ssl.SSLError) -> str:
    """OpenSSL's reason in words: `ee key too small`."""
    return (error.reason or "unknown reason").replace("_", " ").lower()


def _context(settings: Settings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _configure(context, settings.minimum)
    context.num_tickets = 1  # each connection brings another one
    try:
        context.set_ciphers(settings.ciphers)
    except ssl.SSLError:
        raise ContextFault("OpenSSL knows none of these ciphers") from None
    if settings.authorities:
        context.load_verify_locations(cadata=settings.authorities)
        context.verify_mode = ssl.CERT_REQUIRED if settings.required else ssl.CERT_OPTIONAL
    return context


def _configure(context: ssl.SSLContext, minimum: str) -> None:
    context.minimum_version = getattr(ssl.TLSVersion, re.sub(r"\.", "_", minimum))
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(PROTOCOLS)


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path that `content` can be read from: `load_cert_chain` takes nothing else.

    On Linux it is in memory: a key that is inline never gets onto a disk, and none has to be
    writable.
    """
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile() as file:  # only this user may read it
            file.write(content)
            file.flush()
            yield file.name
        return
    descriptor = os.memfd_create("pem")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
