"""What is wrong with the `tls` of a pool, found when a config is checked.

Certificates and keys are read for that. No message shows anything of their content.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...filters import SpecFault
from ...http.urls import check_host_name, is_ip
from ...net.certificates import PemSpec, load_authorities, load_pair
from ...net.pem import PemFault
from .securing import ClientTlsSpec, Fields, is_secure

#: What their fields begin with: caFile, caBase64 and so on.
_PEMS = ("ca", "cert", "key")


def tls_faults(pool: Fields, at: Sequence[str | int]) -> Iterator[SpecFault]:
    """The faults of a pool's `tls` that its schema cannot express; `at` is the pool's place."""
    if "tls" not in pool:
        return
    path = (*at, "tls")
    if any(is_secure(server["url"]) for server in pool["servers"]):
        yield from _faults(pool["tls"], path)
    else:
        wrong = "no server of this pool has a url with wss:// or https://"
        yield SpecFault(path, wrong, "write wss:// or https://, or leave tls out")


def _faults(fields: Fields, at: Sequence[str | int]) -> Iterator[SpecFault]:
    twice = [what for what in _PEMS if f"{what}File" in fields and f"{what}Base64" in fields]
    for what in twice:
        wrong = f"{what}File and {what}Base64 cannot stand together"
        yield SpecFault((*at, f"{what}Base64"), wrong, "keep one of them")
    if not twice:
        yield from _pem_faults(fields, at)
    if fields["insecure"] and _place(fields, "ca"):
        wrong = f"insecure checks no certificate, so {_place(fields, 'ca')} has no effect"
        yield SpecFault((*at, "insecure"), wrong, "leave insecure out")
    if name := fields.get("serverName"):
        yield from _name_faults(name, (*at, "serverName"))


def _place(fields: Fields, what: str) -> str:
    """The field that has it, or an empty text."""
    return next((f"{what}{how}" for how in ("File", "Base64") if f"{what}{how}" in fields), "")


def _pem_faults(fields: Fields, at: Sequence[str | int]) -> Iterator[SpecFault]:
    ca, certificate, key = (_place(fields, what) for what in _PEMS)
    if certificate and not key:
        yield SpecFault((*at, certificate), "its key is missing", "write keyFile")
    if key and not certificate:
        yield SpecFault((*at, key), "its certificate is missing", "write certFile")
    spec = ClientTlsSpec.of(fields)
    if spec.authorities is not None:
        try:
            load_authorities(spec.authorities)
        except PemFault as fault:
            yield _at((*at, ca), spec.authorities, fault)
    if spec.pair is not None:
        try:
            load_pair(spec.pair, spec.password)
        except PemFault as fault:
            where = {"certificate": certificate, "key": key, "password": "keyPassword"}
            pem = {"certificate": spec.pair.certificate, "key": spec.pair.key}.get(fault.part)
            yield _at((*at, where[fault.part]), pem, fault)


def _at(path: Sequence[str | int], pem: PemSpec | None, fault: PemFault) -> SpecFault:
    """The fault at its place; a file is named."""
    shown = f"{pem.file}: " if pem and pem.file else ""
    return SpecFault(path, shown + fault.wrong, fault.accepted)


def _name_faults(name: str, at: Sequence[str | int]) -> Iterator[SpecFault]:
    try:
        if not is_ip(name):
            check_host_name(name)
    except ValueError as error:
        yield SpecFault(at, f"{name!r} is no host name: {error}", "write one such as a.example")
