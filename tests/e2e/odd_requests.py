"""Malformed, ambiguous and merely odd requests, and what easews makes of each, exactly.

Behind each of them an honest request follows on the same connection (but for `CUT_SHORT`). What is
refused ends the connection, so that the honest one gets no answer: a reader that has lost its
place reads no further.
"""

from __future__ import annotations

from tests.e2e.raw import KEY
from tests.e2e.recorder import Seen


def request(*fields: str, line: str = "GET / HTTP/1.1", body: bytes = b"") -> bytes:
    head = "\r\n".join([line, "Host: example.test", *fields, "", ""])
    return head.encode("latin-1") + body


def post(*fields: str, body: bytes = b"", version: str = "1.1") -> bytes:
    return request(*fields, line=f"POST / HTTP/{version}", body=body)


def chunked(body: bytes, *fields: str) -> bytes:
    return post("Transfer-Encoding: chunked", *fields, body=body)


def line(text: str) -> bytes:
    return request(line=text)


def hosts(*fields: str, line: str = "GET / HTTP/1.1") -> bytes:
    return "\r\n".join([line, *fields, "", ""]).encode("latin-1")


HONEST = request("Connection: close", line="GET /honest HTTP/1.1")
HONEST_SEEN = Seen("GET", "/honest")
HELLO = b"5\r\nhello\r\n0\r\n\r\n"
SMUGGLED = request(line="GET /smuggled HTTP/1.1")
CHUNKED_SMUGGLED = b"0\r\n\r\n" + SMUGGLED


#: The body has two ends: RFC 9112 §6.1 and §6.3.
TWO_ENDS = {
    "length and chunks": post("Content-Length: 5", "Transfer-Encoding: chunked", body=HELLO),
    "chunks and length": post("Transfer-Encoding: chunked", "Content-Length: 5", body=HELLO),
    "length 0 and chunks": post(
        "Content-Length: 0", "Transfer-Encoding: chunked", body=CHUNKED_SMUGGLED
    ),
    "length and chunks in capitals": post(
        "CONTENT-LENGTH: 5", "TRANSFER-ENCODING: CHUNKED", body=HELLO
    ),
    "length and chunks behind a tab": post(
        "Content-Length: 5", "Transfer-Encoding:\tchunked", body=HELLO
    ),
    "length and identity": post("Content-Length: 5", "Transfer-Encoding: identity", body=b"hello"),
    "length and an empty coding": post("Content-Length: 5", "Transfer-Encoding:", body=b"hello"),
    "length and an unknown coding": post("Content-Length: 5", "Transfer-Encoding: x", body=HELLO),
    "two equal lengths": post("Content-Length: 5", "Content-Length: 5", body=b"hello"),
    "two lengths": post("Content-Length: 5", "Content-Length: 0", body=b"hello"),
    "two lengths, spelled differently": post("Content-Length: 5", "CONTENT-LENGTH: 6"),
    "a list of equal lengths": post("Content-Length: 5, 5", body=b"hello"),
    "a list of lengths": post("Content-Length: 5,6", body=b"hello"),
    "a length with a plus": post("Content-Length: +5", body=b"hello"),
    "a length with a minus": post("Content-Length: -5", body=b"hello"),
    "a negative zero as length": post("Content-Length: -0", body=SMUGGLED),
    "a length with a space inside": post("Content-Length: 5 0", body=b"hello"),
    "a length with a comma behind": post("Content-Length: 5,", body=b"hello"),
    "a length in hexadecimal": post("Content-Length: 0x5", body=b"hello"),
    "a length with an underscore": post("Content-Length: 1_0", body=b"hello"),
    "a length with a fraction": post("Content-Length: 5.0", body=b"hello"),
    "a length with an exponent": post("Content-Length: 5e0", body=b"hello"),
    "a length in superscript": post("Content-Length: \xb2", body=b"hello"),
    "a length in quotes": post('Content-Length: "5"', body=b"hello"),
    "an empty length": post("Content-Length:", body=b"hello"),
    "a length over 64 bits": post("Content-Length: 18446744073709551621", body=b"hello"),
    "a length of 5000 digits": post(f"Content-Length: {'9' * 5000}", body=b"hello"),
    "chunks in HTTP/1.0": post("Transfer-Encoding: chunked", version="1.0", body=HELLO),
    "chunks and length in HTTP/1.0": post(
        "Transfer-Encoding: chunked", "Content-Length: 5", version="1.0", body=HELLO
    ),
}

#: RFC 9112 §6.1: a coding that we do not know hides where the body ends.
CODINGS = {
    "chunks twice": post(
        "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=CHUNKED_SMUGGLED
    ),
    "chunks twice in a list": post("Transfer-Encoding: chunked, chunked", body=CHUNKED_SMUGGLED),
    "chunks and identity": post(
        "Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=CHUNKED_SMUGGLED
    ),
    "identity and chunks": post("Transfer-Encoding: identity, chunked", body=CHUNKED_SMUGGLED),
    "identity": post("Transfer-Encoding: identity", body=SMUGGLED),
    "gzip and chunks": post("Transfer-Encoding: gzip, chunked", body=CHUNKED_SMUGGLED),
    "an empty coding": post("Transfer-Encoding:", body=SMUGGLED),
    "chunks with a comma in front": post("Transfer-Encoding: ,chunked", body=CHUNKED_SMUGGLED),
    "chunks with a comma behind": post("Transfer-Encoding: chunked,", body=CHUNKED_SMUGGLED),
    "chunks with a parameter": post("Transfer-Encoding: chunked;q=1", body=CHUNKED_SMUGGLED),
    "chunks in quotes": post('Transfer-Encoding: "chunked"', body=CHUNKED_SMUGGLED),
    "almost chunks": post("Transfer-Encoding: xchunked", body=CHUNKED_SMUGGLED),
    "chunks behind a no-break space": post("Transfer-Encoding: \xa0chunked", body=CHUNKED_SMUGGLED),
}

#: RFC 9112 §§2.2 and 5: lines and fields.
LINES = {
    "a bare LF behind the request line": b"GET / HTTP/1.1\nHost: example.test\r\n\r\n",
    "bare LFs everywhere": b"GET / HTTP/1.1\nHost: example.test\n\n",
    "a bare LF in a value": request("X: a\nContent-Length: 5", body=b"hello"),
    "a bare LF at the head's end": b"GET / HTTP/1.1\r\nHost: example.test\r\n\n\r\n",
    "a bare CR between fields": request("X: a\rContent-Length: 5", body=b"hello"),
    "a bare CR in a value": request("X: a\rb"),
    "a bare CR at the head's end": b"GET / HTTP/1.1\r\nHost: example.test\r\n\rX: y\r\n\r\n",
    "CR CR LF": b"GET / HTTP/1.1\r\r\nHost: example.test\r\n\r\n",
    "a NUL in a value": request("X: a\0b"),
    "a NUL in a name": request("X\0: a"),
    "a NUL behind the coding": post("Transfer-Encoding: chunked\0", body=HELLO),
    "a vertical tab in front of the coding": post("Transfer-Encoding: \x0bchunked", body=HELLO),
    "a form feed behind the coding": post("Transfer-Encoding: chunked\x0c", body=HELLO),
    "a DEL in a value": request("X: \x7f"),
    "a space in front of the colon": post("Transfer-Encoding : chunked", body=CHUNKED_SMUGGLED),
    "a tab in front of the colon": post("Content-Length\t: 5", body=b"hello"),
    "a space in front of the first field": b"GET / HTTP/1.1\r\n Host: example.test\r\n\r\n",
    "a space in front of a field": request("X: y", " Transfer-Encoding: chunked"),
    "a tab in front of a field": request("X: y", "\tContent-Length: 5", body=b"hello"),
    "a folded value": post("Transfer-Encoding:", " chunked", body=CHUNKED_SMUGGLED),
    "a folded length": post("Content-Length: 5", "\t0", body=b"hello"),
    "an empty folded line": request("X: y", " ", "Z: y"),
    "a field without a colon": request("Transfer-Encoding"),
    "a field without a name": request(": chunked"),
    "a space in a name": request("Transfer Encoding: chunked"),
    "a name in quotes": request('"Content-Length": 5'),
    "a name beyond ASCII": request("Content-L\xe9ngth: 5"),
    "a name with a bracket": request("X[0]: 5"),
    "TLS on a plain port": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(32),
}

#: RFC 9112 §3.
REQUEST_LINES = {
    "no version": line("GET /"),
    "two spaces": line("GET  / HTTP/1.1"),
    "two spaces in front of the version": line("GET /  HTTP/1.1"),
    "a tab": line("GET\t/ HTTP/1.1"),
    "a tab in front of the version": line("GET /\tHTTP/1.1"),
    "a vertical tab": line("GET\x0b/ HTTP/1.1"),
    "a space in front": line(" GET / HTTP/1.1"),
    "a space behind": line("GET / HTTP/1.1 "),
    "a space in the target": line("GET /a b HTTP/1.1"),
    "a second version": line("GET / HTTP/1.1 HTTP/1.1"),
    "no target": line("GET  HTTP/1.1"),
    "no method": line("/ HTTP/1.1"),
    "a method that is no token": line("G@T / HTTP/1.1"),
    "a method with a colon": line("Host: / HTTP/1.1"),
    "a lower-case version": line("GET / http/1.1"),
    "a long minor version": line("GET / HTTP/1.10"),
    "a long major version": line("GET / HTTP/01.1"),
    "a version without a minor": line("GET / HTTP/1"),
    "a version with a comma": line("GET / HTTP/1,1"),
    "a version of letters": line("GET / HTTP/x.y"),
    "another protocol": line("GET / ICY/1.1"),
    "a fragment": line("GET /#top HTTP/1.1"),
    "a byte beyond ASCII": line("GET /\xe9 HTTP/1.1"),
    "a NUL in the target": line("GET /\0 HTTP/1.1"),
    "half a triplet": line("GET /%a HTTP/1.1"),
    "a triplet of other letters": line("GET /%zz HTTP/1.1"),
    "a relative target": line("GET raw HTTP/1.1"),
    "authority-form": line("CONNECT example.test:443 HTTP/1.1"),
    "authority-form with GET": line("GET example.test:443 HTTP/1.1"),
    "asterisk-form with GET": line("GET * HTTP/1.1"),
    "absolute-form of another scheme": line("GET ftp://example.test/ HTTP/1.1"),
    "absolute-form without a host": line("GET http:///raw HTTP/1.1"),
    "absolute-form with a user": line("GET http://example.test@evil.test/ HTTP/1.1"),
    "absolute-form with a backslash": line(r"GET http://evil.test\@example.test/ HTTP/1.1"),
    "a percent in the authority": line("GET http://example%2etest%/ HTTP/1.1"),
    "a target of one dot": line("GET . HTTP/1.1"),
}

VERSIONS = {
    "HTTP/0.9": line("GET / HTTP/0.9"),
    "HTTP/1.2": line("GET / HTTP/1.2"),
    "HTTP/2.0": line("GET / HTTP/2.0"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}

#: RFC 9112 §3.2 and RFC 9110 §7.2.
HOSTS = {
    "no Host": hosts("X: y"),
    "two Hosts": hosts("Host: example.test", "Host: evil.test"),
    "two equal Hosts": hosts("Host: example.test", "Host: example.test"),
    "two Hosts in HTTP/1.0": hosts("Host: a", "Host: b", line="GET / HTTP/1.0"),
    "an empty Host": hosts("Host:"),
    "a Host of white space": hosts("Host: \t "),
    "a Host with a user": hosts("Host: example.test@evil.test"),
    "a Host with a path": hosts("Host: example.test/evil"),
    "a Host with a query": hosts("Host: example.test?evil"),
    "a Host with a space": hosts("Host: example.test evil.test"),
    "a list of Hosts": hosts("Host: example.test, evil.test "),
    "a Host with a port of letters": hosts("Host: example.test:http"),
    "a Host with two ports": hosts("Host: example.test:80:81"),
    "a Host with a port of six digits": hosts("Host: example.test:000080"),
    "a Host with a scheme": hosts("Host: http://example.test"),
    "a Host with brackets": hosts("Host: [example.test]"),
    "a Host with half a bracket": hosts("Host: [::1"),
    "a Host beyond ASCII": hosts("Host: ex\xe4mple.test"),
    "absolute-form without Host": hosts(line="GET http://example.test/ HTTP/1.1"),
}

#: A dot segment is refused, however it is written, and so is a null character.
PATHS = {
    path: line(f"GET {path} HTTP/1.1")
    for path in (
        "/..",
        "/.",
        "/a/../b",
        "/a/./b",
        "/a/..",
        "/a//../b",
        "/a/%2e%2e/b",
        "/a/%2E./b",
        "/a/.%2e/b",
        "/a/%2e/b",
        "/a/..;/b",
        "/a/..;x=y/b",
        "/a/..%3b/b",
        "/a/..%2fb",
        "/a%2f..%2fb",
        "/a%2F%2e%2e%2Fb",
        "/a/..%5cb",
        "/a%5c..%5cb",
        "/a\\..\\b",
        "/a/%00",
        "/%00/../b",
        "/a%00.html",
    )
}

#: RFC 9112 §7.1.
CHUNKS = {
    "a size with a prefix": chunked(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "a size with a plus": chunked(b"+5\r\nhello\r\n0\r\n\r\n"),
    "a size with a minus": chunked(b"-5\r\nhello\r\n0\r\n\r\n"),
    "a size with an underscore": chunked(b"0_5\r\nhello\r\n0\r\n\r\n"),
    "a size with a space in front": chunked(b" 5\r\nhello\r\n0\r\n\r\n"),
    "a size with a space behind": chunked(b"5 \r\nhello\r\n0\r\n\r\n"),
    "a size with a tab behind": chunked(b"5\t;x\r\nhello\r\n0\r\n\r\n"),
    "a size over 64 bits": chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "no size": chunked(b"\r\nhello\r\n0\r\n\r\n"),
    "a size that is no number": chunked(b"g\r\nhello\r\n0\r\n\r\n"),
    "an extension without a size": chunked(b";x\r\nhello\r\n0\r\n\r\n"),
    "a bare LF behind a size": chunked(b"5\nhello\r\n0\r\n\r\n"),
    "a bare LF behind an extension": chunked(b"5;x\nhello\r\n0\r\n\r\n"),
    "a bare LF in an extension": chunked(b'5;x="\n"\r\nhello\r\n0\r\n\r\n'),
    "a bare CR behind a size": chunked(b"5\rhello\r\n0\r\n\r\n"),
    "a bare CR in an extension": chunked(b"5;x\r0\r\nhello\r\n0\r\n\r\n"),
    "a NUL in an extension": chunked(b"5;\0\r\nhello\r\n0\r\n\r\n"),
    "a chunk that is too long": chunked(b"5\r\nhello!\r\n0\r\n\r\n"),
    "a chunk that is too short": chunked(b"6\r\nhello\r\n0\r\n\r\n"),
    "no line end behind a chunk": chunked(b"5\r\nhello0\r\n\r\n"),
    "a bare LF behind a chunk": chunked(b"5\r\nhello\n0\r\n\r\n"),
    "two bytes in place of the line end": chunked(b"5\r\nhelloXX0\r\n\r\n"),
    "a bare LF behind the last size": chunked(b"5\r\nhello\r\n0\n\r\n"),
    "a bare LF at the end": chunked(b"5\r\nhello\r\n0\r\n\n"),
    "a bare LF behind a trailer": chunked(b"5\r\nhello\r\n0\r\nX: y\n\r\n"),
    "a request in place of a trailer": chunked(b"5\r\nhello\r\n0\r\n" + SMUGGLED),
    "a folded trailer": chunked(b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n"),
    "a trailer without a colon": chunked(b"5\r\nhello\r\n0\r\nX\r\n\r\n"),
    "a trailer with a space before its colon": chunked(b"5\r\nhello\r\n0\r\nX : y\r\n\r\n"),
    "a NUL in a trailer": chunked(b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n"),
    "an extension of 5000 bytes": chunked(b"5;" + b"x" * 5000 + b"\r\nhello\r\n0\r\n\r\n"),
    "too many trailers": chunked(b"0\r\n" + b"X: y\r\n" * 100 + b"\r\n"),
}


def upgrade(*fields: str, line: str = "GET / HTTP/1.1", body: bytes = b"") -> bytes:
    return request("Connection: Upgrade", *fields, line=line, body=body)


WEBSOCKET = ("Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}")


#: What asks for another protocol in a way that opens none.
UPGRADES = {
    "a handshake with a length": upgrade(*WEBSOCKET, "Content-Length: 5", body=b"hello"),
    "a handshake with chunks": upgrade(*WEBSOCKET, "Transfer-Encoding: chunked", body=HELLO),
    "a handshake without a key": upgrade(*WEBSOCKET[:2]),
    "a handshake with two keys": upgrade(*WEBSOCKET, WEBSOCKET[2]),
    "a handshake with a short key": upgrade(*WEBSOCKET[:2], "Sec-WebSocket-Key: c2hvcnQ="),
}

REFUSED: dict[str, tuple[bytes, int]] = {
    **{f"body: {name}": (raw, 400) for name, raw in TWO_ENDS.items()},
    **{f"coding: {name}": (raw, 501) for name, raw in CODINGS.items()},
    **{f"lines: {name}": (raw, 400) for name, raw in LINES.items()},
    **{f"request line: {name}": (raw, 400) for name, raw in REQUEST_LINES.items()},
    **{f"version: {name}": (raw, 505) for name, raw in VERSIONS.items()},
    **{f"host: {name}": (raw, 400) for name, raw in HOSTS.items()},
    **{f"chunks: {name}": (raw, 400) for name, raw in CHUNKS.items()},
    **{f"upgrade: {name}": (raw, 400) for name, raw in UPGRADES.items()},
    "upgrade: version 8": (upgrade(WEBSOCKET[0], "Sec-WebSocket-Version: 8", WEBSOCKET[2]), 426),
    "upgrade: a handshake with POST": (upgrade(*WEBSOCKET, line="POST / HTTP/1.1"), 405),
    "upgrade: a handshake in HTTP/1.0": (upgrade(*WEBSOCKET, line="GET / HTTP/1.0"), 426),
    "a line of 70,000 bytes": (line(f"GET /{'a' * 70_000} HTTP/1.1"), 414),
    "101 fields": (request(*["X: y"] * 100), 431),
    "a value of 70,000 bytes": (request(f"X: {'a' * 70_000}"), 431),
}

#: What is refused without ending the connection: where the request ends is beyond doubt.
REFUSED_ALONE: dict[str, tuple[bytes, int]] = {
    f"path: {name}": (raw, 400) for name, raw in PATHS.items()
}

#: The head is whole, the body is not: the client has shut down its side, and no request follows.
CUT_SHORT = {
    "a body below its length": post("Content-Length: 10", body=b"hello"),
    "no last chunk": chunked(b"5\r\nhello\r\n"),
    "half a chunk": chunked(b"5\r\nhel"),
    "no line end behind the last chunk": chunked(b"5\r\nhello\r\n0\r\n"),
    "no line end behind a trailer": chunked(b"5\r\nhello\r\n0\r\nX: y\r\n"),
    "a chunk of almost 64 bits": chunked(b"fffffffffffffffe\r\nhello"),
}

HI = Seen("POST", "/", b"hello")
GOT = Seen("GET", "/")

#: What is odd and yet has one meaning only, and what the backend sees of it.
PASSED: dict[str, tuple[bytes, Seen]] = {
    "empty lines in front": (b"\r\n\r\n" + request(), GOT),
    "no white space behind a colon": (
        post("Content-Length:5", body=b"hello"),
        HI,
    ),
    "tabs around a length": (post("Content-Length:\t5\t ", body=b"hello"), HI),
    "a length with zeros in front": (post("Content-Length: 0005", body=b"hello"), HI),
    "a length in capitals": (post("CONTENT-LENGTH: 5", body=b"hello"), HI),
    "a length in another spelling": (request("Content_Length: 5"), GOT),
    "a coding in another spelling": (request("Transfer_Encoding: chunked"), GOT),
    "a coding in capitals": (post("TRANSFER-ENCODING: CHUNKED", body=HELLO), HI),
    "a coding between tabs": (post("Transfer-Encoding:\tchunked\t", body=HELLO), HI),
    "a body that looks like a request": (
        post(f"Content-Length: {len(SMUGGLED)}", body=SMUGGLED),
        Seen("POST", "/", SMUGGLED),
    ),
    "chunks that look like a request": (
        chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
        Seen("POST", "/", SMUGGLED),
    ),
    "a GET with a body": (request("Content-Length: 5", body=b"hello"), GOT._replace(body=b"hello")),
    "a GET with chunks": (
        request("Transfer-Encoding: chunked", body=HELLO),
        GOT._replace(body=b"hello"),
    ),
    "a DELETE with a body": (
        request("Content-Length: 5", line="DELETE / HTTP/1.1", body=b"hello"),
        Seen("DELETE", "/", b"hello"),
    ),
    "a POST without a length": (post(), Seen("POST", "/")),
    "chunks of every spelling": (
        chunked(b"1\r\nh\r\n02;a=b\r\nel\r\n0002;\r\nlo\r\n000\r\n\r\n"),
        HI,
    ),
    "a size of capitals": (
        chunked(b"A\r\nhellohello\r\n0\r\n\r\n"),
        HI._replace(body=b"hellohello"),
    ),
    "an extension with a value in quotes": (
        chunked(b'5;a="b;c"\r\nhello\r\n0\r\n\r\n'),
        HI,
    ),
    "an extension of the last chunk": (chunked(b"5\r\nhello\r\n0;a=b\r\n\r\n"), HI),
    "trailers": (chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", "Trailer: X-Sum"), HI),
    "trailers that frame": (
        chunked(b"5\r\nhello\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: x\r\n\r\n"),
        HI,
    ),
    "a trailer with another Host": (
        chunked(b"5\r\nhello\r\n0\r\nHost: evil.test\r\n\r\n"),
        HI,
    ),
    "a method that nobody knows": (line("BREW / HTTP/1.1"), Seen("BREW", "/")),
    "a method in lower case": (line("get / HTTP/1.1"), Seen("get", "/")),
    "OPTIONS for a path": (line("OPTIONS / HTTP/1.1"), Seen("OPTIONS", "/")),
    "absolute-form": (line("GET http://example.test/a?b HTTP/1.1"), Seen("GET", "/a?b")),
    "absolute-form in capitals": (line("GET HTTP://example.test/a HTTP/1.1"), Seen("GET", "/a")),
    "absolute-form of another host": (
        line("GET http://other.test/a HTTP/1.1"),
        Seen("GET", "/a", host="other.test"),
    ),
    "absolute-form without a path": (
        line("GET http://example.test?b HTTP/1.1"),
        Seen("GET", "/?b"),
    ),
    "two slashes in front": (line("GET //evil.test/a HTTP/1.1"), Seen("GET", "//evil.test/a")),
    "a URL in the path": (
        line("GET /http://evil.test/ HTTP/1.1"),
        Seen("GET", "/http://evil.test/"),
    ),
    "an encoded slash": (line("GET /a%2Fb HTTP/1.1"), Seen("GET", "/a%2Fb")),
    "an encoded letter": (line("GET /%61 HTTP/1.1"), Seen("GET", "/%61")),
    "an encoded percent": (line("GET /%252e%252e/ HTTP/1.1"), Seen("GET", "/%252e%252e/")),
    "an encoded line end": (line("GET /a%0d%0aX:%20y HTTP/1.1"), Seen("GET", "/a%0d%0aX:%20y")),
    "an encoded question mark": (line("GET /a%3Fb HTTP/1.1"), Seen("GET", "/a%3Fb")),
    "an encoded number sign": (line("GET /a%23b HTTP/1.1"), Seen("GET", "/a%23b")),
    "two question marks": (line("GET /a?b?c HTTP/1.1"), Seen("GET", "/a?b?c")),
    "dots in a query": (line("GET /a?../b HTTP/1.1"), Seen("GET", "/a?../b")),
    "three dots": (line("GET /.../a HTTP/1.1"), Seen("GET", "/.../a")),
    "characters that no URL has": (line('GET /a?{|}^`"<> HTTP/1.1'), Seen("GET", '/a?{|}^`"<>')),
    "bytes beyond ASCII in a value": (request("X: \xe9\xff"), GOT),
    "an empty value": (request("X:"), GOT),
    "a name of every character": (request("!#$%&'*+-.^_`|~: y"), GOT),
    "a Host in capitals": (hosts("HOST: example.test"), GOT),
    "a Connection that names framing": (
        post("Content-Length: 5", "Connection: Content-Length", body=b"hello"),
        HI,
    ),
    "a Connection that names Host": (request("Connection: Host"), GOT),
    "an Upgrade that Connection does not name": (request(*WEBSOCKET), GOT),
    "a Connection without Upgrade": (upgrade(*WEBSOCKET[1:]), GOT),
}

#: What asks for a protocol that nobody speaks here. It is passed on without its Upgrade, and the
#: connection ends behind its answer.
OTHER_PROTOCOLS = {
    "h2c": upgrade("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "h2c, its settings named": request(
        "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA"
    ),
    "h2c beside close": request("Connection: close, Upgrade", "Upgrade: h2c"),
    "h2c in capitals": request("CONNECTION: UPGRADE", "UPGRADE: H2C"),
    "an unknown protocol": upgrade("Upgrade: foo/1"),
    "TLS within HTTP": upgrade("Upgrade: TLS/1.0"),
    "WebSockets of another version, by Upgrade's own": upgrade("Upgrade: websocket/13"),
}
