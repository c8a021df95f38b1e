"""HTTPServer: from a listening socket to a pipeline, and the answer back.

binding     the listening sockets of a server: TCP or unix
handedover  those of the process that this one follows
passed      those that whoever started the process has bound
listener    accept -> a task for each connection
arrival     what comes before HTTP on a connection: a PROXY header, a limit, TLS
sharing     connections spread evenly among workers that accept from one socket
clients     how many connections each client has                                (pure)
connection  request after request, until its fate is not to be kept
fate        what becomes of a connection after a request
idle        connections without a request: they end when there is no room
exchange    one request: route -> pipeline -> answer -> log
line        what a filter may ask of the engine while it is at a request
reader      heads within their limits, bodies as they come
writer      a response as bytes
watch       clients that wait for an answer: when they leave is noticed
site        what is served: a router in front of a generation's pipelines
fields      the header fields that are believed                                 (pure)
address     who the client is, behind proxies                                   (pure)
tls/        which certificate for whom, and the handshake
routing/    which path is responsible, and the target that is sent on           (pure)
"""

from .binding import bind
from .listener import Listener
from .routing import Router
from .sharing import Share
from .site import RequestIds, Site
from .tls import ServerTls
from .watch import ClientWatch

__all__ = ["ClientWatch", "Listener", "RequestIds", "Router", "ServerTls", "Share", "Site", "bind"]
