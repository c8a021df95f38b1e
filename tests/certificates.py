"""Certificates for tests, in files as a config names them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import trustme


@dataclass(slots=True)
class Authority:
    """An authority that issues certificates into files of `folder`."""

    folder: Path
    ca: trustme.CA = field(default_factory=trustme.CA)

    def issue(
        self,
        *names: str,
        file: str = "server",
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> tuple[Path, Path]:
        """A certificate for `names` and its key, as files."""
        made = self.ca.issue_cert(*names, not_before=not_before, not_after=not_after)
        certificate, key = self.folder / f"{file}.pem", self.folder / f"{file}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        key.write_bytes(made.private_key_pem.bytes())
        return certificate, key

    def fields(self, *names: str, file: str = "server") -> dict[str, object]:
        """The fields of an HTTPServer that serves a new certificate for `names`."""
        certificate, key = self.issue(*names, file=file)
        return {"https": True, "certFile": str(certificate), "keyFile": str(key)}

    @property
    def file(self) -> Path:
        """The certificate of the authority itself."""
        path = self.folder / "ca.pem"
        path.write_bytes(self.ca.cert_pem.bytes())
        return path

    def client(self, certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
        """What a client that trusts this authority begins with."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if certificate is not None:
            certificate.configure_cert(context)
        return context
