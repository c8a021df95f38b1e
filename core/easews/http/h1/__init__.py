"""HTTP/1.1 as bytes in, values out, and back (RFC 9112). Pure: nothing here reads or writes.

    faults   HeadError, BodyError: which check failed, and the status that says so
    heads    find_head_end -> parse_*_head -> RequestHead, ResponseHead -> encode_*_head
    bodies   *_framing -> Framing -> BodyReader
    chunks   the chunked coding: ChunkDecoder, encode_chunk, encode_last_chunk, LAST_CHUNK

The engine's server reads requests with it, and its dialler the answers of backends.
"""

from .bodies import BodyReader, Framing, request_framing, response_framing
from .chunks import LAST_CHUNK, NO_TRAILERS, encode_chunk, encode_last_chunk
from .faults import BodyError, HeadError
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
    "NO_TRAILERS",
    "BodyError",
    "BodyReader",
    "Framing",
    "HeadError",
    "RequestHead",
    "ResponseHead",
    "encode_chunk",
    "encode_last_chunk",
    "encode_request_head",
    "encode_response_head",
    "find_head_end",
    "parse_request_head",
    "parse_response_head",
    "request_framing",
    "response_framing",
]
