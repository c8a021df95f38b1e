"""HTTP as values and rules: nothing here reads, writes or waits.

headers    Headers: the fields of a message in their order
values     Request, Response
passing    what goes on to the next hop: end_to_end, passing_trailers
certificates  a client's certificate
problems   answers that easews makes itself: problem+json or plain text
forwarded  X-Forwarded-* and Forwarded (RFC 7239), read and written
cookies    the cookies of a request
paths      what paths are compared as, and which are ambiguous
hosts      what hosts are compared as
queries    the parameters of a query
regexps    regular expressions, as those of all configs are compiled
matching   what texts and headers have to be like, as configs say it
rewriting  what becomes of a path, and of other texts
origins    whose page sends a request, and patterns for those that are welcome
traceparent  which trace a request belongs to
urls       URLs of servers, and origins
h1/        HTTP/1.1 as bytes in, values out, and back (RFC 9112)
"""

from .certificates import ClientCertificate
from .headers import Headers, hyphenated
from .passing import end_to_end, passing_trailers
from .values import Request, Response

__all__ = [
    "ClientCertificate",
    "Headers",
    "Request",
    "Response",
    "end_to_end",
    "hyphenated",
    "passing_trailers",
]
