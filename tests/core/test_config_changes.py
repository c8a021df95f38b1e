"""How two configs differ, in words."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType

import pytest

from easews import Context, Filter
from easews.config import Config, load
from easews.config.model import ServerSpec
from easews.operate.serving.changes import changes_between
from easews.operate.serving.reload import plan
from easews.testing import kinds_with, load_config


class Plain(Filter):
    """Does nothing."""

    kind = "Plain"
    schema = MappingProxyType(
        {
            "type": "object",
            "properties": {
                "password": {"type": "string", "writeOnly": True},
                "file": {"type": "string", "x-file": "read"},
                "log": {"type": "string", "x-file": True},
            },
        }
    )

    async def handle(self, ctx: Context) -> None: ...


class Other(Plain):
    """The same by another name."""

    kind = "Other"


BASE = """
kind: HTTPServer
name: web
port: 80
rules:
- hosts: [a.test]
  paths: [{path: /ws, backend: p}]
- paths: [{pathPrefix: /x, backend: p}, {backend: q}]
---
kind: Pipeline
name: p
filters: [{kind: Plain, name: a, password: hush}, {kind: Plain, name: b}]
---
{kind: Pipeline, name: q, filters: [{kind: Plain, name: a}]}
---
{kind: Gateway, name: g}
"""
ANOTHER = "{kind: Pipeline, name: r, filters: [{kind: Plain, name: a}]}"


def between(*edits: tuple[str, str]) -> list[str]:
    """The changes from BASE to BASE with these replacements."""
    after = BASE
    for old, new in edits:
        assert old in after
        after = after.replace(old, new)
    before = load_config(BASE, Plain, Other)
    return [*map(str, plan(before, load_config(after, Plain, Other)).changes)]


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        ([("port: 80", "port: 80\nmaxConnections: 9")], ["server web changed (maxConnections)"]),
        (
            [("port: 80", "port: 80\nheaderTimeout: 9s\nxForwardedFor: false")],
            ["server web changed (xForwardedFor, headerTimeout)"],
        ),
        (
            [("port: 80", "port: 81")],
            [
                "server web added (listens on *:81)",
                "server web removed (no longer listens on *:80); its sessions are drained",
            ],
        ),
        (
            [("name: web", "name: site")],
            ["server site changed (was called web); its sessions are drained"],
        ),
        (
            [("path: /ws", "path: /new")],
            [
                "server web: path /new added (leads to p)",
                "server web: path /ws removed; its sessions are drained",
            ],
        ),
        (
            [("{backend: q}", "{backend: p}")],
            ["server web: path of any kind changed (leads to p, led to q)"],
        ),
        (
            [("/ws, backend", "/ws, ipFilter: {blockIPs: [192.0.2.1]}, backend")],
            ["server web: path /ws changed (ipFilter)"],
        ),
        (
            [("- hosts: [a.test]", "- hosts: [a.test]\n  ipFilter: {blockIPs: [192.0.2.1]}")],
            ["server web: rules changed (their order, hosts or ipFilter)"],
        ),
        ([("hush", "psst")], ["pipeline p: filter a changed (password)"]),
        (
            [("kind: Plain, name: b", "kind: Other, name: b")],
            ["pipeline p: filter b changed (is a Other, was a Plain)"],
        ),
        (
            [(", {kind: Plain, name: b}", "")],
            ["pipeline p: filter b removed", "pipeline p: flow changed"],
        ),
        (
            [("{kind: Gateway", f"{ANOTHER}\n---\n{{kind: Gateway")],
            ["pipeline r added"],
        ),
        (
            [("name: q,", "name: r,"), ("backend: q", "backend: r")],
            [
                "server web: path of any kind changed (leads to r, led to q)",
                "pipeline r added",
                "pipeline q removed; its sessions are drained",
            ],
        ),
        (
            [("name: g", "name: g, drain: {window: 1s}, log: {format: json}")],
            ["gateway: drain changed", "gateway: log.format changed (at the next start)"],
        ),
        (
            [("name: g", "name: g, tracing: {}")],
            ["gateway: tracing changed (at the next start)"],
        ),
        (
            [("name: g", "name: g, admin: {}")],
            ["gateway: admin changed (at the next start)"],
        ),
        (
            [("name: g", "name: g, workers: 2")],
            ["gateway: workers changed (at the next start)"],
        ),
        ([("port: 80", "# why\nport: 80\nmaxConnections: 10240")], []),
    ],
)
def test_each_change_is_told(edits: list[tuple[str, str]], told: list[str]) -> None:
    assert between(*edits) == told


def test_what_a_tap_shows_changes_at_once() -> None:
    admin = "name: g, admin: {metrics: open, tap: %s}"
    before = load_config(BASE.replace("name: g", admin % "off"), Plain)
    after = load_config(BASE.replace("name: g", admin % "headers"), Plain)
    assert [*map(str, plan(before, after).changes)] == ["gateway: admin.tap changed"]


def base() -> Config:
    return load_config(BASE, Plain)


#: Compared in parts, see above.
IN_PARTS = {"limits", "rules"}


@pytest.mark.parametrize(
    "name", [it.name for it in fields(ServerSpec) if it.compare and it.name not in IN_PARTS]
)
def test_no_field_of_a_server_is_overlooked(name: str) -> None:
    before = base()
    (server,) = before.servers
    after = replace(before, servers=(replace(server, **{name: "other"}),))  # type: ignore[arg-type]
    silent = name == "expects_connections"  # whether the limit is written out
    assert bool(changes_between(before, after, {after.servers[0].name: "web"})) is not silent


def test_a_file_that_a_filter_reads_counts_as_if_its_content_stood_in_place(
    tmp_path: Path,
) -> None:
    config, read, written = (tmp_path / name for name in ("c.yaml", "schema.json", "log"))
    config.write_text(BASE.replace("name: b", "name: b, file: schema.json, log: log"))

    def loaded() -> Config:
        return load([str(config)], kinds_with(Plain))

    before = loaded()
    read.write_text("one")
    written.write_text("one")
    after = loaded()
    assert after.files == [str(read)]
    (change,) = plan(before, after).changes
    assert str(change) == f"pipeline p: filter b changed ({read} has changed)"
    written.write_text("two")
    assert plan(after, loaded()).changes == ()
