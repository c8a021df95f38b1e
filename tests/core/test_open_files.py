"""The limit of open files: raised as far as it goes, and told when that will not do."""

from __future__ import annotations

import resource

import pytest

from easews.config import Config
from easews.operate.descriptors import raise_limit
from easews.testing import load_config

DEFAULT = "{kind: HTTPServer, name: w, port: 1}"
EXPLICIT = "{kind: HTTPServer, name: w, port: 1, maxConnections: 2000}"
SMALL = "{kind: HTTPServer, name: w, port: 1, maxConnections: 100}"


def warning(
    text: str, limit: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> str:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    config: Config = load_config(text)
    raise_limit(config)
    return caplog.text


@pytest.mark.parametrize(
    ("text", "limit", "wanted"),
    [
        (DEFAULT, 4096, 0),
        (DEFAULT, 1024, 2112),
        (EXPLICIT, 4096, 0),
        (EXPLICIT, 4000, 4064),
        (SMALL, 1024, 0),
        (SMALL, 256, 264),
    ],
)
def test_too_few_files_are_told_for_what_the_config_expects(
    text: str,
    limit: int,
    wanted: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = warning(text, limit, caplog, monkeypatch)
    assert (f"up to {wanted} open files, and the limit is {limit}" in told) is bool(wanted)
    assert bool(told) is bool(wanted)
