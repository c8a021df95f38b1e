"""An HTTPServer's TLS fields: what they mean, and whether it can be served with.

What a certificate or key is at fault for is reported at the field that names it. No message shows
anything of their content.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from ..errors import Problem
from ..http import hyphenated
from ..net.certificates import KeyPairSpec, PemSpec, load_authorities, load_pair
from ..net.contexts import ContextFault, check_ciphers
from ..net.pem import PemFault
from .documents import Document, Path
from .model import TlsSpec

Fields = Mapping[str, Any]

_CERTIFICATES = ("certs", "keys", "certBase64", "keyBase64", "certFile", "keyFile")
_AUTHORITIES = ("caCertBase64", "caCertFile")
#: Of `tls`, with an authority only.
_OF_CLIENTS = ("clientCertificate", "clientCertificateHeaders")
_FIELDS = (*_CERTIFICATES, "keyPassword", *_AUTHORITIES, "tls")
#: What a client's certificate cannot be told in: without these a request would be another one.
_TAKEN = frozenset({"connection", "content-length", "host", "transfer-encoding", "upgrade"})


class _Pair(NamedTuple):
    """A certificate and its key, and where they are written."""

    spec: KeyPairSpec
    certificate: Path
    key: Path


def tls_spec(given: Fields, file: str) -> TlsSpec | None:
    """What the completed fields of a server mean; None for one without TLS."""
    if not given["https"]:
        return None
    tls: Fields = given["tls"]
    return TlsSpec(
        pairs=tuple(pair.spec for pair in _pairs(given, file)),
        key_password=given.get("keyPassword", ""),
        authorities=_authorities(given, file),
        client_required=tls["clientCertificate"] == "required",
        minimum=tls["minVersion"],
        ciphers=tls["ciphers"],
        handshake_timeout=tls["handshakeTimeout"],
        max_handshakes=tls["maxHandshakes"],
        client_fields=tls["clientCertificateHeaders"],
    )


def meant_fields(given: Fields) -> Fields:
    """The completed fields of a server, without those that `check_tls` refuses where they mean
    nothing: nobody has written these.
    """
    if not given["https"]:
        return {name: it for name, it in given.items() if name not in _FIELDS}
    if any(given.get(name) for name in _AUTHORITIES):
        return given
    tls = {name: it for name, it in given["tls"].items() if name not in _OF_CLIENTS}
    return {**given, "tls": tls}


def check_tls(server: Document) -> Iterator[Problem]:
    """Every fault that keeps `server` from being served over TLS, or tells that TLS was meant."""
    fields: Fields = server.root.value
    https = server.root.get("https")
    if https is not None and https.void:
        return
    if https is None or https.value is not True:
        for name in _FIELDS:
            if fields.get(name) and name in server.root.keys:  # and is not a slip of it
                wrong = f"{name} without https: true"
                yield server.key_problem((), name, wrong, "write https: true, or leave it out")
        return
    yield from _unpaired(server)
    pairs = list(_pairs(fields, server.file))
    for pair in pairs:
        yield from _check_pair(server, pair)
    if not pairs and not any(name in fields for name in _CERTIFICATES):
        remedy = "name its files in certFile and keyFile, or write it into certs and keys"
        yield server.problem(("https",), "there is no certificate", remedy)
    yield from _check_clients(server)
    yield from _check_ciphers(server)


def _pairs(fields: Fields, file: str) -> Iterator[_Pair]:
    """The pairs that are complete, in the order in which they are looked through."""
    texts = fields.get("certBase64"), fields.get("keyBase64")
    if all(texts):
        yield _Pair(_inline(*texts), ("certBase64",), ("keyBase64",))
    certificates, keys = _files(fields, "certFile"), _files(fields, "keyFile")
    for (at, certificate), (key_at, key) in zip(certificates, keys, strict=False):
        if certificate and key:
            spec = KeyPairSpec(_in_file(certificate, file), _in_file(key, file))
            yield _Pair(spec, at, key_at)
    for name, text in _texts(fields, "certs").items():
        if its_key := _texts(fields, "keys").get(name):
            yield _Pair(_inline(text, its_key), ("certs", name), ("keys", name))


def _inline(certificate: Any, key: Any) -> KeyPairSpec:
    return KeyPairSpec(PemSpec(certificate), PemSpec(key))


def _in_file(name: str, config: str) -> PemSpec:
    """A file whose name is relative to the folder of the config file."""
    return PemSpec(file=str(FilePath(config).parent / name))


def _files(fields: Fields, key: str) -> list[tuple[Path, str]]:
    """The names of files under `key`, which is one or a list, with their places."""
    value = fields.get(key)
    if isinstance(value, list):
        return [((key, number), name) for number, name in enumerate(value)]
    return [((key,), value)] if isinstance(value, str) else []


def _texts(fields: Fields, key: str) -> Mapping[str, Any]:
    """The texts under `key` by their names."""
    value = fields.get(key)
    return {name: text for name, text in value.items() if text} if isinstance(value, dict) else {}


def _authorities(fields: Fields, file: str) -> PemSpec | None:
    if text := fields.get("caCertBase64"):
        return PemSpec(text)
    name = fields.get("caCertFile")
    return _in_file(name, file) if name else None


def _unpaired(server: Document) -> Iterator[Problem]:
    """Certificates without a key, and keys without a certificate."""
    fields: Fields = server.root.value
    for one, other in (("certBase64", "keyBase64"), ("certFile", "keyFile"), ("certs", "keys")):
        for there, missing in ((one, other), (other, one)):
            if there in fields and missing not in fields:
                yield server.key_problem((), there, f"{missing!r} is missing", f"write {missing}")
    certificates, keys = _files(fields, "certFile"), _files(fields, "keyFile")
    if certificates and keys and len(certificates) != len(keys):
        wrong = f"certFile has {len(certificates)} and keyFile {len(keys)}"
        yield server.problem(("keyFile",), wrong, "write the keys in the order of the certificates")
    if isinstance(fields.get("certs"), dict) and isinstance(fields.get("keys"), dict):
        for one, other in (("certs", "keys"), ("keys", "certs")):
            for name in fields[one]:
                if name not in fields[other]:
                    wrong = f"{other} has no {name!r}"
                    yield server.key_problem(
                        (one,), name, wrong, f"give it the same name in {other}"
                    )


def _check_pair(server: Document, pair: _Pair) -> Iterator[Problem]:
    password = server.root.text("keyPassword") or ""
    try:
        load_pair(pair.spec, password)
    except PemFault as fault:
        where = {"certificate": pair.certificate, "key": pair.key, "password": ("keyPassword",)}
        yield _at(server, where[fault.part], fault)


def _at(server: Document, path: Path, fault: PemFault) -> Problem:
    """The fault at its place; what could not be read is named, unless that is a secret."""
    node = server.at(path)
    shown = (
        node.shown if node is not None and path[0] in ("certFile", "keyFile", "caCertFile") else ""
    )
    return server.problem(path, f"{shown}: {fault.wrong}" if shown else fault.wrong, fault.accepted)


def _check_clients(server: Document) -> Iterator[Problem]:
    """What is said of clients' certificates."""
    fields: Fields = server.root.value
    if all(fields.get(name) for name in _AUTHORITIES):
        wrong = "caCertBase64 and caCertFile cannot stand together"
        yield server.key_problem((), "caCertFile", wrong, "keep one of them")
        return
    authorities = _authorities(fields, server.file)
    if authorities is None:
        for name in _OF_CLIENTS:
            if name in _texts(fields, "tls"):
                wrong = "clients are not asked for a certificate without its authority"
                accepted = "name the authority's certificate in caCertFile"
                yield server.key_problem(("tls",), name, wrong, accepted)
        return
    path = ("caCertBase64",) if authorities.text else ("caCertFile",)
    try:
        load_authorities(authorities)
    except PemFault as fault:
        yield _at(server, path, fault)
    yield from _check_headers(server)


def _check_headers(server: Document) -> Iterator[Problem]:
    path: Path = ("tls", "clientCertificateHeaders")
    headers = server.at(path)
    for what, node in headers.children.items() if headers is not None else ():
        if isinstance(node.value, str) and hyphenated(node.value) in _TAKEN:
            wrong = f"{node.shown} decides what the request is"
            yield server.problem(
                (*path, what), wrong, "choose another name such as X-Client-Subject"
            )


def _check_ciphers(server: Document) -> Iterator[Problem]:
    node = server.at(("tls", "ciphers"))
    if node is None or not isinstance(node.value, str):
        return
    try:
        check_ciphers(node.value)
    except ContextFault as error:
        accepted = "write names that `openssl ciphers -tls1_2` prints, with colons between them"
        yield server.problem(("tls", "ciphers"), str(error), accepted)
