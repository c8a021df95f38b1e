"""Where the admin interface is: what `--admin` may be. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ...addresses import UNIX
from ...http.urls import check_socket_path, server_url

#: That of a Gateway whose `admin` names no other.
DEFAULT = "127.0.0.1:9901"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`origin` is what URLs begin with; `socket` is the path of a unix socket, or empty."""

    shown: str
    origin: str
    socket: str = ""


def endpoint_of(text: str) -> Endpoint:
    """An address as a Gateway has it, or a URL. ValueError when it is neither."""
    if text.startswith(UNIX):
        path = text.removeprefix(UNIX)
        check_socket_path(path)
        return Endpoint(text, "http://localhost", path)
    url = text if "://" in text else f"http://{text}"
    parts = server_url(url)
    if parts.scheme not in ("http", "https") or parts.path.strip("/") or "?" in url:
        raise ValueError("it is a host and port, unix: and a path, or the URL of a host")
    if "://" not in text and ":" not in text.rpartition("]")[2]:
        raise ValueError("it has no port")
    return Endpoint(text, url.rstrip("/"))
