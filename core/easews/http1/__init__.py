"""HTTP/1.1 as bytes in, values out, and back (RFC 9112). Pure: nothing here reads or writes.

    faults   MessageError and its kin: which check failed, and the status that says so
    heads    find_head_end -> parse_*_head -> RequestHead, ResponseHead -> encode_*_head
    bodies   *_framing -> Framing -> BodyReader; encode_chunk and LAST_CHUNK to send one

The engine's server reads requests with it, and its dialler the answers of backends.
"""

from .bodies import (
    LAST_CHUNK,
    BodyReader,
    Framing,
    encode_chunk,
    request_framing,
    response_framing,
)
from .faults import BodyError, HeadError, MessageError
from .heads import (
    RequestHead,
    ResponseHead,
    encode_request_head,
    encode_response_head,
    find_head_end,
    parse_request_head,
    parse_response_head,
)

__all__ = [
    "LAST_CHUNK",
    "BodyError",
    "BodyReader",
    "Framing",
    "HeadError",
    "MessageError",
    "RequestHead",
    "ResponseHead",
    "encode_chunk",
    "encode_request_head",
    "encode_response_head",
    "find_head_end",
    "parse_request_head",
    "parse_response_head",
    "request_framing",
    "response_framing",
]
