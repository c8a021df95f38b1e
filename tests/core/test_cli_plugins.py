"""`easews plugins`: what a package brings and costs, and what is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from easews import Context, Filter, Message, PluginError, Reads, Session
from easews.cli import app as cli
from easews.cli.costs import reads_in_words
from easews.cli.packages import package_page, trouble_text
from easews.plugins import Classes, Found, Plugin, load_plugins


class Stamp(Filter):
    """Stamps requests."""

    kind = "Stamp"
    results = ("stamped",)
    schema = {  # noqa: RUF012
        "type": "object",
        "properties": {"text": {"type": "string"}, "ink": {"type": "string", "default": "blue"}},
        "required": ["text"],
        "additionalProperties": False,
    }

    async def handle(self, ctx: Context) -> None:
        pass


class Shout(Filter):
    """Shouts."""

    kind = "Shout"
    reads = Reads(("client",), binary=False, max_size=65536)

    def on_open(self, session: Session) -> None:
        pass

    def on_message(self, session: Session, message: Message) -> Message:
        return message


class Broken:
    """An entry point that cannot be loaded."""

    name, value = "broken", "easews_broken.plugin"

    def load(self) -> Any:
        raise ImportError("no licence")


STAMP = Found("easews-stamp", "1.5", Classes("stamp", [Stamp]), "https://stamp.example", ">=0.1")
SHOUT = Found("easews-shout", "2.0", Classes("shout", [Shout]))
BROKEN = Found("easews-broken", "3", Broken())


@pytest.fixture
def easews(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `easews plugins` in this process, with these entry points as the installed ones."""

    def run(*arguments: str, found: tuple[Found, ...] = (STAMP, SHOUT)) -> Result:
        monkeypatch.setattr("easews.cli.plugins.load_plugins", lambda: load_plugins(found))
        return CliRunner().invoke(cli.app, ["plugins", *arguments])

    return run


def page(*found: Found, width: int | None = None, colour: bool = False) -> str:
    (plugin,) = load_plugins(found)
    return package_page(plugin, width, colour=colour)


def test_packages_are_listed_with_their_kinds(easews: Callable[..., Result]) -> None:
    result = easews("list")
    assert result.exit_code == 0
    heading, *rows = result.stdout.splitlines()
    assert heading.split() == ["PACKAGE", "VERSION", "LOADED", "IN", "KINDS"]
    assert [re.sub(r"\d+ ms", "N ms", " ".join(row.split())) for row in rows] == [
        "easews-stamp 1.5 N ms Stamp",
        "easews-shout 2.0 N ms Shout (reads messages)",
    ]


def test_a_broken_plugin_is_in_the_list_and_makes_it_fail(easews: Callable[..., Result]) -> None:
    result = easews("list", found=(STAMP, BROKEN))
    assert result.exit_code == 1
    assert re.search(r"easews-broken +3 +\d+ ms +broken", result.stdout)
    assert "update or uninstall easews-broken" in result.stderr


@pytest.mark.parametrize("name", ["easews-stamp", "Stamp"])
def test_a_package_is_shown_by_its_name_or_that_of_a_kind(
    easews: Callable[..., Result], name: str
) -> None:
    lines = easews("show", name).stdout.splitlines()
    assert lines[0] == "easews-stamp 1.5"
    told = dict(re.split(r" {2,}", line.strip(), maxsplit=1) for line in lines if "  " in line)
    assert re.fullmatch(r"\d+ ms", told.pop("loaded in"))
    assert told == {
        "entry point": "stamp = stamp",
        "docs": "https://stamp.example",
        "asks for": "easews>=0.1",
        "summary": "Stamps requests.",
        "API version": "1",
        "hooks": "handle",
        "messages": "not read: sessions stay on the fast relay",
        "results": "stamped, internalError",
        "fields": "text (required), ink",
        "more": "easews kinds Stamp",
    }


def test_a_kind_that_reads_messages_is_told_with_directions_and_size() -> None:
    told = page(SHOUT)
    assert "hooks        on_open, on_message" in told
    assert "message mode, for text messages of the client, up to 64KiB" in told
    assert "fields       onError" in told


@pytest.mark.parametrize(
    ("reads", "words"),
    [
        (Reads(), "messages of the client and the backend, up to 1MiB"),
        (Reads(("backend",), text=False, max_size=1), "binary messages of the backend, up to 1B"),
    ],
)
def test_what_is_read_in_words(reads: Reads, words: str) -> None:
    assert reads_in_words(reads) == words


def test_an_installed_package_is_shown_with_its_file(easews: Callable[..., Result]) -> None:
    told = CliRunner().invoke(cli.app, ["plugins", "show", "WebSocketProxy"]).stdout
    assert re.search(r"file +/\S*easews_wsproxy/plugin.py\n", told)


def test_a_broken_package_is_shown_with_its_trouble(easews: Callable[..., Result]) -> None:
    result = easews("show", "easews-broken", found=(BROKEN,))
    assert result.exit_code == 1
    assert "fails with ImportError: no licence; update or uninstall easews-broken" in result.stdout


def test_a_misspelt_name_is_told_what_is_meant(easews: Callable[..., Result]) -> None:
    result = easews("show", "Stmap")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean 'Stamp'?" in result.stderr
    assert "easews-stamp, Stamp, easews-shout, Shout" in easews("show", "x").stderr


@pytest.mark.parametrize("columns", [80, 130])
def test_on_a_terminal_a_page_is_as_wide_as_that(columns: int) -> None:
    told = page(STAMP, width=columns, colour=True)
    assert max(map(len, re.sub("\x1b\\[[0-9]*m", "", told).splitlines())) <= columns
    assert "\x1b[1measews-stamp 1.5" in told


def test_the_doctor_finds_nothing(easews: Callable[..., Result]) -> None:
    result = easews("doctor")
    assert (result.exit_code, result.stdout) == (0, "No trouble: 2 plugins, 2 kinds\n")


def test_the_doctor_names_each_trouble_and_its_remedy(easews: Callable[..., Result]) -> None:
    twice = Found("easews-other", "1", Classes("other", [Shout]))
    result = easews("doctor", found=(SHOUT, twice, BROKEN))
    assert result.exit_code == 1
    assert "easews-other: the kind Shout is already taken by easews-shout; unin" in result.stdout
    assert "no licence; update or uninstall easews-broken" in result.stdout
    assert "easews-shout: " not in result.stdout


def test_on_a_terminal_the_remedy_is_below_the_trouble() -> None:
    fault = PluginError("easews-broken", "it fails", "update it, " * 9 + "or uninstall it")
    first, *others = trouble_text(fault, 60, colour=True).splitlines()
    assert first == "\x1b[1;31measews-broken: it fails\x1b[0m"
    assert others[0].startswith("  = update it,")
    assert [line[:4] for line in others[1:]] == ["    ", "    "]
    assert max(map(len, others)) <= 60


def test_without_any_plugin_the_doctor_says_what_to_install(
    easews: Callable[..., Result],
) -> None:
    result = easews("doctor", found=())
    assert (result.exit_code, result.stdout) == (
        1,
        "easews: no plugin is installed; install one, such as easews-wsproxy\n",
    )


def test_all_of_it_as_json(easews: Callable[..., Result]) -> None:
    plugins = json.loads(easews("list", "--json").stdout)["plugins"]
    assert [plugin["package"] for plugin in plugins] == ["easews-stamp", "easews-shout"]
    (shout,) = json.loads(easews("show", "Shout", "--json").stdout)["plugins"]
    assert shout["trouble"] is None
    (kind,) = shout["kinds"]
    assert kind["hooks"] == ["on_open", "on_message"]
    assert kind["reads"] == {
        "senders": ["client"],
        "text": True,
        "binary": False,
        "maxSize": 65536,
    }
    result = easews("doctor", "--json", found=(BROKEN,))
    assert result.exit_code == 1
    (trouble,) = json.loads(result.stdout)["trouble"]
    assert trouble["package"] == "easews-broken"
    assert trouble["remedy"] == "update or uninstall easews-broken"


def test_the_time_to_load_is_told() -> None:
    plugin = Plugin(STAMP, (), 1.2345)
    assert "loaded in    1234 ms" in package_page(plugin, None, colour=False)


@pytest.mark.parametrize("command", ["list", "show", "doctor"])
def test_help_has_examples_and_the_exit_status(easews: Callable[..., Result], command: str) -> None:
    told = easews(command, "--help").stdout
    assert f"  Examples:\n    easews plugins {command}" in told
    assert "Exit status: 0 when" in told
