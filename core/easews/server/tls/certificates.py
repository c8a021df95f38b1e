"""What an HTTPServer needs for TLS: contexts from its certificates, and again when files change."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from ...config.model import TlsSpec
from ...errors import CertificateError
from ...http import ClientCertificate
from ...net.certificates import PemSpec, load_authorities, load_pair
from ...net.contexts import Settings, front_context
from ...net.pem import KeyPair, PemFault
from ...net.tls import TlsWire
from .handshakes import Handshakes
from .sni import by_name, chosen


class Loaded(NamedTuple):
    """What the files held, and the context for each server name."""

    settings: Settings
    pairs: tuple[KeyPair, ...]
    contexts: dict[str, ssl.SSLContext]


class ServerTls:
    """The TLS side of one server.

    context     what its connections begin with
    handshakes  those that are in progress
    """

    def __init__(self, name: str, spec: TlsSpec) -> None:
        """CertificateError when a certificate or key cannot be used."""
        self.name: str = name
        self.spec: TlsSpec = spec
        self.handshakes: Handshakes = Handshakes(spec.max_handshakes, spec.handshake_timeout)
        self._seen = self._tried = _states(spec.files)
        self._loaded = self._load()
        self.context: ssl.SSLContext = front_context(self._loaded.settings, self._choose)

    @property
    def pairs(self) -> tuple[KeyPair, ...]:
        """The certificates that are served."""
        return self._loaded.pairs

    def client(self, wire: TlsWire) -> ClientCertificate | None:
        """The certificate that the client has shown. ConnectionError when it may not be used."""
        der = wire.ssl.getpeercert(binary_form=True) if self.spec.authorities else None
        if der is None:
            return None
        from .clientcert import client_certificate  # takes 30 ms, the first time

        try:
            certificate = client_certificate(der)
        except ValueError:
            raise ConnectionError("the client's certificate cannot be read") from None
        if certificate.not_after < datetime.now(UTC):  # since its session began, which is resumed
            raise ConnectionError("the client's certificate has expired")
        return certificate

    def has_changed(self) -> bool:
        """Whether the files are others than were loaded, and are the same as at the last call.

        So a certificate is not read before its key is there, too.
        """
        before, self._seen = self._seen, _states(self.spec.files)
        return before == self._seen != self._tried

    def load(self) -> Loaded:
        """The files as they are now. CertificateError when they cannot be used; they are not
        tried again before they change. Works in any thread.
        """
        self._tried = self._seen
        return self._load()

    def take(self, loaded: Loaded) -> None:
        """Serve with `loaded` from the next handshake on. Open connections stay as they are.

        Session tickets stay valid, unless other authorities decide on clients from now on.
        """
        if loaded.settings != self._loaded.settings:
            self.context = front_context(loaded.settings, self._choose)
        self._loaded = loaded

    def _choose(self, name: str) -> ssl.SSLContext:
        return chosen(self._loaded.contexts, name)

    def _load(self) -> Loaded:
        spec = self.spec
        settings = Settings(spec.minimum, spec.ciphers, self._authorities(), spec.client_required)
        loaded = []
        for pair in spec.pairs:
            try:
                loaded.append(load_pair(pair, spec.key_password, settings))
            except PemFault as fault:
                raise self._error(
                    fault, pair.key if fault.part == "key" else pair.certificate
                ) from None
        contexts = by_name([(pair.names, context) for pair, context in loaded])
        return Loaded(settings, tuple(pair for pair, _ in loaded), contexts)

    def _authorities(self) -> str:
        authorities = self.spec.authorities
        try:
            return load_authorities(authorities) if authorities else ""
        except PemFault as fault:
            assert authorities is not None
            raise self._error(fault, authorities) from None

    def _error(self, fault: PemFault, pem: PemSpec) -> CertificateError:
        what = pem.file or f"its inline {fault.part}"
        return CertificateError(f"{self.name}: {what}: {fault}")


def _states(files: Iterable[str]) -> list[tuple[int, ...] | None]:
    """What changes with a file: its inode, size and time; None for one that is not there."""
    return [_state(file) for file in files]


def _state(file: str) -> tuple[int, ...] | None:
    try:
        stat = os.stat(file)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
