"""Requests to the admin interface of a running gateway, and what is wrong without an answer."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpcore

from ...config.admin import token_in
from ...errors import EasewsError, why_unreadable
from ..progress import Progress
from ..report import printable
from .address import Endpoint

#: Seconds for an answer, and for one that something has to be done for first: a new process may
#: take two minutes to start, and then gets all sessions.
_TIMEOUT, _LONG = 60.0, 600.0
_CONNECT = 5.0

_API = "/api/v1"
_JSON = (b"Content-Type", b"application/json")


class _Backend(httpcore.SyncBackend):
    """That of httpcore, which leaves a unix socket open that does not connect."""

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            with socket.socket(socket.AF_UNIX) as trial:
                trial.connect(path)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        return super().connect_unix_socket(path, timeout, socket_options)


class NoAnswer(EasewsError):
    """The gateway cannot be asked, or does not do what it is asked to; the text says why."""


class Admin:
    """The admin interface at `endpoint`. `token` is empty where it asks for none."""

    def __init__(self, endpoint: Endpoint, token: str = "") -> None:
        self._endpoint = endpoint
        self._token = token
        self._pool = httpcore.ConnectionPool(
            uds=endpoint.socket or None, max_connections=1, network_backend=_Backend()
        )

    def get(self, path: str, having: str = "") -> Any:
        """The JSON at a path of the API, which has the member `having`. NoAnswer without any."""
        return self._json("GET", path, None, having)

    def post(self, path: str, body: Mapping[str, Any] | None = None, having: str = "") -> Any:
        """The answer to a request to do something, with the member `having`. NoAnswer without."""
        return self._json("POST", path, json.dumps(body or {}).encode(), having)

    def text(self, path: str) -> str:
        """What is at a path outside of the API. NoAnswer without it."""
        return self._checked("GET", path, None).decode("utf-8", "replace")

    def lines(self, path: str) -> Iterator[Any]:
        """The JSON values that come, a line each, until there are no more. NoAnswer without any."""
        url, headers = self._endpoint.origin + _API + path, self._headers(None)
        timeout = {"timeout": {"connect": _CONNECT}}  # none for reading: a tap may be silent
        try:
            with self._pool.stream("GET", url, headers=headers, extensions=timeout) as answer:
                if answer.status != 200:
                    raise self._refusal(answer.status, answer.read())
                yield from _values(answer.iter_stream())
        except (ValueError, RecursionError):
            raise self._no_gateway() from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise self._unreachable(error) from None

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()

    def _json(self, method: str, path: str, body: bytes | None, having: str) -> Any:
        content = self._checked(method, _API + path, body)
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            raise self._no_gateway() from None
        if having and not (isinstance(value, dict) and having in value):
            raise self._no_gateway()
        return value

    def _checked(self, method: str, path: str, body: bytes | None) -> bytes:
        url = self._endpoint.origin + path
        read = _TIMEOUT if method == "GET" else _LONG
        timeout = {"connect": _CONNECT, "read": read, "write": _TIMEOUT}
        try:
            with Progress(f"waiting for {self._endpoint.shown}"):
                answer = self._pool.request(
                    method,
                    url,
                    headers=self._headers(body),
                    content=body,
                    extensions={"timeout": timeout},
                )
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise self._unreachable(error) from None
        if answer.status >= 300:
            raise self._refusal(answer.status, answer.content)
        return answer.content

    def _headers(self, body: bytes | None) -> list[tuple[bytes, bytes]]:
        headers = [(b"Accept", b"application/json")]
        if body is not None:
            headers.append(_JSON)
        if self._token:
            headers.append((b"Authorization", f"Bearer {self._token}".encode()))
        return headers

    def _unreachable(self, error: Exception) -> NoAnswer:
        shown = self._endpoint.shown
        if isinstance(error, httpcore.TimeoutException):
            return NoAnswer(f"{shown} does not answer in time")
        if isinstance(error, httpcore.ProtocolError):
            return self._no_gateway()
        why = _innermost(error)
        return NoAnswer(
            f"cannot connect to {shown}: {why}; the config's Gateway needs"
            f" `admin: {{address: {_quoted(shown)}}}`, and another address is named with --admin or"
            " EASEWS_ADMIN"
        )

    def _no_gateway(self) -> NoAnswer:
        shown = self._endpoint.shown
        return NoAnswer(f"{shown} does not answer as a gateway's `admin` does; is it another port?")

    def _refusal(self, status: int, content: bytes) -> NoAnswer:
        try:
            detail = json.loads(content)["detail"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return self._no_gateway()
        if status == 401:
            what = "another token" if self._token else "a token"
            how = "name its file with --token-file, or set EASEWS_TOKEN"
            return NoAnswer(f"{self._endpoint.shown} asks for {what}; {how}")
        return NoAnswer(printable(f"{detail} ({status})"))


def _quoted(address: str) -> str:
    return f'"{address}"' if address.startswith("[") else address


def _innermost(error: BaseException) -> str:
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    number = getattr(error, "errno", None)
    return os.strerror(number) if number and number > 0 else str(error)


def _values(parts: Iterator[bytes]) -> Iterator[Any]:
    """The values of lines of JSON, in whatever parts they come."""
    left = b""
    for part in parts:
        *lines, left = (left + part).split(b"\n")
        yield from (json.loads(line) for line in lines if line.strip())


def token_from(file: Path | None) -> str:
    """The token of a file, else of EASEWS_TOKEN, else none. NoAnswer when there is no file."""
    if file is None:
        return os.environ.get("EASEWS_TOKEN", "").strip()
    try:
        return token_in(file)
    except OSError as error:
        wrong, remedy = why_unreadable(error)
        raise NoAnswer(f"{file}: {wrong}; {remedy}" if remedy else f"{file}: {wrong}") from None
    except UnicodeDecodeError:
        raise NoAnswer(f"{file} is no text, so no token") from None
