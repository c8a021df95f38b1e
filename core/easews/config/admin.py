"""The `admin` of a Gateway: what it means, and whether strangers would get in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from ..addresses import UNIX, parse_endpoint, parse_ip
from ..errors import Problem
from ..schema import Bound, complete, errors
from .documents import Document
from .model import AdminSpec
from .schemas import object_schema

#: Bytes that are read of a file with a token.
LARGEST_TOKEN = 4096
_REMEDY = "write token or tokenFile, or listen on 127.0.0.1 or on a unix socket"


def token_in(file: FilePath) -> str:
    """The token in a file, without the white space around it. OSError or UnicodeDecodeError when
    the file cannot be read as text.
    """
    with file.open("rb") as opened:
        return opened.read(LARGEST_TOKEN).decode().strip()


def admin_spec(given: Mapping[str, Any], file: str, place: str) -> AdminSpec:
    """What the completed fields mean."""
    address = parse_endpoint(given["address"])
    token_file = given.get("tokenFile", "")
    return AdminSpec(
        address=address.host,
        port=address.port,
        token=given.get("token", ""),
        token_file=str(FilePath(file).parent / token_file) if token_file else "",
        metrics=given["metrics"],
        hosts=tuple(given["hosts"]),
        tap=given["tap"],
        place=place,
    )


def at_address(spec: AdminSpec | None, text: str) -> AdminSpec:
    """The same at another address, which no file has. ValueError when it cannot be used; the text
    goes on from the address.
    """
    fault = next(errors(_schema(), {"address": text}), None)
    if fault is not None:
        why = fault.cause.args[0] if fault.cause else "it is no address"
        raise ValueError(f"is no address to listen on: {why}")
    if spec is None:
        spec = admin_spec(complete(_schema(), {}), "", "")
    address = parse_endpoint(text)
    if not (is_private(address.host) or spec.token or spec.token_file):
        raise ValueError("is reached by others, and there is no token; write one in the config")
    return replace(spec, address=address.host, port=address.port, place="")


def _schema() -> Bound:
    """That of the field, of which a default is no part: without it there is no `admin`."""
    schema: Bound = object_schema("Gateway")["properties"]["admin"]
    return schema


def is_private(host: str) -> bool:
    """Whether only this machine can connect there."""
    ip = parse_ip(host)
    return host.startswith(UNIX) or host == "localhost" or (ip is not None and ip.is_loopback)


def check_admin(gateway: Document) -> Iterator[Problem]:
    """What would let strangers in, or says two things."""
    admin = gateway.root.get("admin")
    if admin is None or not isinstance(admin.value, dict):
        return
    if admin.get("token") and admin.get("tokenFile"):
        wrong = "token and tokenFile are both there"
        yield gateway.key_problem(("admin",), "tokenFile", wrong, "leave one of them out")
    address = admin.text("address")
    if address is None or admin.get("token") or admin.get("tokenFile"):
        return
    if not is_private(parse_endpoint(address).host):
        wrong = "whoever reaches this address could close sessions: there is no token"
        yield gateway.problem(("admin", "address"), wrong, _REMEDY)
