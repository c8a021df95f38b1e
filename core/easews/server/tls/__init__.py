"""TLS of an HTTPServer: which certificate for whom, and the way of a connection through it.

securing      TLS on a connection that has come in, or what the client is told
handshakes    those that are in progress
certificates  contexts from a server's certificates, and again when their files change
sni           which certificate is for which server name                          (pure)
clientcert    a client's certificate, read                                        (pure)
"""

from .certificates import ServerTls
from .securing import HandshakeError, secured

__all__ = ["HandshakeError", "ServerTls", "secured"]
