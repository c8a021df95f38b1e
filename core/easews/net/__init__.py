"""Connections: the only room that makes a socket or speaks TLS.

wire           what a connection is read from and written to
tls            TLS on a socket, as such a wire
tlshandshake   agreeing on TLS with the peer of one
tlserrors      what OpenSSL raises, as errors of connections
waiting        reading and writing one, awaited through anyio
sockets        their options, and connecting one
pem            certificates and keys as PEM: read, compared, dated              (pure)
certificates   those that a config names, inline or in files, loaded
contexts       TLS contexts from certificates and keys in memory
channel        messages to another process on this machine, with descriptors
poller         many descriptors behind one: epoll or kqueue
readiness      a function that is called whenever a descriptor is readable
proxyprotocol  what a proxy in front sends first: whose connection it is        (pure)
"""
