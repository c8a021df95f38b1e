"""What OpenSSL raises, as errors of connections whose text says why."""

from __future__ import annotations

import ssl


class TlsError(ConnectionError):
    """There is no agreement on TLS, or what came is not TLS; the text says why.

    reason  OpenSSL's word for it
    verify  OpenSSL's number for what is wrong with the peer's certificate, 0 otherwise
    """

    def __init__(self, text: str, reason: str, verify: int = 0) -> None:
        super().__init__(text)
        self.reason: str = reason
        self.verify: int = verify


class SpeaksHttp(TlsError):
    """The peer speaks plain HTTP, in which it may be answered."""


def tls_error(error: ssl.SSLError) -> TlsError:
    """What to raise in place of `error`."""
    kind = SpeaksHttp if error.reason == "HTTP_REQUEST" else TlsError
    return kind(_words(error), error.reason or "", getattr(error, "verify_code", 0))


#: OpenSSL's reasons that people meet most.
_REASONS = {
    "HTTP_REQUEST": "the peer speaks plain HTTP",
    "WRONG_VERSION_NUMBER": "the peer does not speak TLS",
    "UNSUPPORTED_PROTOCOL": "no TLS version is allowed by both sides",
    "NO_SHARED_CIPHER": "no cipher is allowed by both sides",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the peer has sent no certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the peer requires a certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "the peer does not know the authority of the certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the peer says that the certificate has expired",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the peer refuses the certificate",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the peer does not agree, or misses a certificate",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the peer does not allow these versions of TLS",
    "TLSV1_UNRECOGNIZED_NAME": "the peer does not know this server name",
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": "the peer has sent a garbled record",
}


def _words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the peer's certificate is refused: {error.verify_message}"
    reason = error.reason or "the connection has failed"
    return "TLS: " + _REASONS.get(reason, reason.lower().replace("_", " "))
