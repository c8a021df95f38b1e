"""Discovery: what a plugin brings, and that each way of being broken names its distribution."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from easews import Context, Filter, PluginError, hookimpl
from easews.filters import API
from easews.plugins import Found, Kinds, discover, load_plugins
from easews.plugins.distributions import asks_for, docs_of
from easews.plugins.version import RELEASES, fits, misfit


class Stamp(Filter):
    """Stamps requests.

    And more.
    """

    kind = "Stamp"
    results = ("stamped",)

    async def handle(self, ctx: Context) -> None:
        pass


class Entry:
    """An entry point that gives what `load` returns."""

    value = "package.plugin"

    def __init__(self, load: Callable[[], Any], name: str = "it") -> None:
        self.load, self.name = load, name


def plugin(answer: object) -> Any:
    @hookimpl
    def easews_filters() -> Any:
        return answer

    return SimpleNamespace(easews_filters=easews_filters)


def found(*brought: object, distribution: str = "acme", name: str = "it") -> Found:
    return Found(distribution, "1.2", Entry(lambda: plugin(list(brought)), name))


def only_fault(kinds: Kinds) -> PluginError:
    (fault,) = kinds.broken
    return fault


def test_a_plugin_brings_its_kinds() -> None:
    kinds = discover([found(Stamp)])
    assert not kinds.broken
    kind = kinds["Stamp"]
    assert (kind.filter_class, kind.distribution, kind.version) == (Stamp, "acme", "1.2")
    assert (kind.results, kind.summary) == (("stamped", "internalError"), "Stamps requests.")


def missing_module() -> Any:
    raise ModuleNotFoundError("No module named 'nowhere'")


def exits() -> Any:
    sys.exit("no licence")


def misspelt() -> Any:
    @hookimpl
    def easews_filter() -> list[type[Filter]]:
        return [Stamp]

    return SimpleNamespace(easews_filter=easews_filter)


def with_argument() -> Any:
    @hookimpl
    def easews_filters(config: object) -> list[type[Filter]]:
        return [Stamp]

    return SimpleNamespace(easews_filters=easews_filters)


def unmarked() -> Any:
    return SimpleNamespace(easews_filters=lambda: [Stamp])


def raising() -> Any:
    @hookimpl
    def easews_filters() -> Any:
        raise KeyError("HOME")

    return SimpleNamespace(easews_filters=easews_filters)


BROKEN = [
    (missing_module, "fails with ModuleNotFoundError: No module named 'nowhere'", "update or"),
    (exits, "fails with SystemExit: no licence", "uninstall acme"),
    (misspelt, "easews_filter", "the hooks that exist are: easews_filters"),
    (with_argument, "config", "the hooks that exist are: easews_filters"),
    (unmarked, "implements no hook", "@easews.hookimpl"),
    (raising, "fails with KeyError: 'HOME'", "update or uninstall acme"),
    (lambda: plugin(None), "its easews_filters() returned None", "return a list of its filter"),
    (lambda: plugin(Stamp), "returned <class", "return a list of Filter subclasses"),
    (lambda: plugin([Entry]), "which is no filter", "return subclasses of easews.Filter"),
]


def test_a_filter_for_a_later_version_of_the_contract_is_refused_with_the_way_out() -> None:
    class Later(Filter):  # its hook is one that this engine does not know
        kind = "Stamp"
        api = 2

    found_ = Found("acme", "1.2", Entry(lambda: plugin([Later])), asks_for=">=0.2")
    assert str(only_fault(discover([found_]))) == (
        "acme: Stamp is for version 2 of the filter contract, and this easews has version 1; "
        "update easews (acme asks for easews>=0.2): pip install --upgrade easews; "
        "or install an older acme, for version 1"
    )


def test_a_filter_for_an_earlier_version_is_told_which_easews_has_it() -> None:
    releases = {1: "easews>=0.1,<0.3", 2: "easews>=0.3"}
    assert misfit(2, "acme", "", releases) is None
    assert misfit(1, "acme", "", releases) == (
        "is for version 1 of the filter contract, and this easews has version 2",
        "update the filter: pip install --upgrade acme; "
        "or go back to an easews with version 1: pip install 'easews>=0.1,<0.3'",
    )


@pytest.mark.parametrize("api", [0, True, "1", None, 1.0])
def test_what_is_no_version_is_told_as_such(api: object) -> None:
    problem, remedy = misfit(api, "acme", "") or ("", "")
    assert problem == f"api is {api!r}, which is no version of the filter contract"
    assert remedy.endswith("this easews has 1")


def test_the_engine_has_the_newest_version_that_the_table_names() -> None:
    assert max(RELEASES) == API


@pytest.mark.parametrize(
    ("line", "asks", "remedy"),
    [
        ("from easews import Clos", ">=0.1", "correct the import; easews has Close"),
        ("from easews import close", "", "correct the import; easews has Close"),
        ("from easews.testing import chek_kind", "", "easews.testing has check_kind"),
        ("from easews import Tomorrow", ">=0.1", "correct the import; easews "),
        ("from easews import Clos", ">=7", "install easews>=7 that acme was written for, or acme"),
        ("from easews import Tomorrow", "", "install the easews that acme was written for, or"),
        ("import easews.tomorrow", ">=7", "install easews>=7 that acme was written for, or acme"),
    ],
)
def test_a_name_that_this_easews_does_not_have_is_misspelt_or_of_another_version(
    line: str, asks: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_later.py").write_text(f"{line}\n")
    monkeypatch.syspath_prepend(tmp_path)
    entry_point = metadata.EntryPoint("it", "acme_later", "easews")
    fault = only_fault(discover([Found("acme", "1", entry_point, asks_for=asks)]))
    assert "Error: " in fault.problem
    assert remedy in fault.remedy


@pytest.mark.parametrize(
    ("asks", "fitting"),
    [
        ("", True),
        (">=0.1,<0.2", True),
        (">=0.2", False),
        (">0.1", False),
        ("<=0.1", True),
        ("<0.1", False),
        ("==0.1", True),
        ("!=0.1.0", False),
        ("~=0.1.0", True),
        ("~=0.2.0", False),
        ("===0.1.0", False),  # not understood
    ],
)
def test_which_versions_fit_what_is_asked_for(asks: str, fitting: bool) -> None:
    assert fits("0.1.0", asks) is fitting


@pytest.mark.parametrize(
    ("requirements", "versions"),
    [
        (["easews"], ""),
        (["anyio>=4", "easews>=0.1,<0.2"], ">=0.1,<0.2"),
        (["EasEws (>=0.1) ; python_version > '3'"], ">=0.1"),
        (["easews[trio] ~=0.1; extra == 'x'"], "~=0.1"),
        (["easews-headers>=3", "easews.more>=4"], ""),
        ([], ""),
    ],
)
def test_which_easews_a_distribution_asks_for(requirements: list[str], versions: str) -> None:
    assert asks_for(requirements) == versions


@pytest.mark.parametrize(
    ("urls", "docs"),
    [
        (["Homepage, https://a.example", "Documentation, https://d.example"], "https://d.example"),
        (["Source, https://s.example", "HomePage, https://a.example"], "https://a.example"),
        (["Chat, https://c.example"], ""),
    ],
)
def test_where_a_distributions_documentation_is(urls: list[str], docs: str) -> None:
    assert docs_of(urls) == docs


def test_loading_is_timed_by_plugin() -> None:
    good, bad = load_plugins([found(Stamp), Found("acme", "1", Entry(missing_module))])
    assert [kind.name for kind in good.kinds] == ["Stamp"]
    assert good.fault is None
    assert good.seconds > 0
    assert (bad.kinds, bad.found.where) == ((), "entry point it = package.plugin")
    assert bad.fault is not None


@pytest.mark.parametrize(("load", "problem", "remedy"), BROKEN)
def test_a_broken_plugin_is_told_with_its_name(
    load: Callable[[], Any], problem: str, remedy: str
) -> None:
    kinds = discover([Found("acme", "1.2", Entry(load)), found(Stamp, distribution="b", name="b")])
    fault = only_fault(kinds)
    assert fault.distribution == "acme"
    assert problem in fault.problem
    assert remedy in fault.remedy
    assert list(kinds) == ["Stamp"]


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("import json\n\njson.loads('x')\n", 3),
        ("def f():\n    return {}['a']\nf()\n", 2),
        ("x = 1\nx = = 1\n", 2),
    ],
)
def test_a_plugin_that_raises_is_told_with_its_own_line(
    code: str, line: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_plugin.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    entry_point = metadata.EntryPoint("it", "acme_plugin", "easews")
    fault = only_fault(discover([Found("acme", "1", entry_point)]))
    assert fault.problem.endswith(f" ({tmp_path / 'acme_plugin.py'}:{line})")


def test_a_taken_entry_point_name_is_told() -> None:
    kinds = discover([found(Stamp), found(distribution="later")])
    assert str(only_fault(kinds)) == (
        "later: its entry point 'it' is also declared by acme; "
        "rename one of them, or uninstall one of the two"
    )


def test_a_taken_kind_is_told() -> None:
    kinds = discover([found(Stamp), found(Stamp, distribution="later", name="other")])
    assert "later: the kind Stamp is already taken by acme" in str(only_fault(kinds))
    assert kinds["Stamp"].distribution == "acme"


async def yields(self: Filter, session: object, message: object) -> AsyncIterator[object]:
    yield message


def sync_handle(self: Filter, ctx: Context) -> None:
    pass


# What a class says of itself, and what is told of it.
BAD_CLASSES: list[tuple[dict[str, object], str]] = [
    ({"kind": ""}, "Bad.kind is ''"),
    ({"kind": 3}, "Bad.kind is 3"),
    ({"handle": sync_handle}, "handle is no coroutine"),
    ({"handle": Filter.handle}, "Stamp has no hook"),
    ({"on_answer": lambda self, ctx: None}, "on_answer is no coroutine"),
    ({"on_mesage": sync_handle}, "Stamp.on_mesage is no hook; did you mean on_message?"),
    ({"handle": Filter.handle, "handel": sync_handle}, "handel is no hook; did you mean handle?"),
    ({"onClose": sync_handle}, "onClose is no hook; did you mean on_close?"),
    ({"on_message": lambda self, session: None}, "on_message cannot be called: too many"),
    ({"on_message": yields}, "on_message is an async generator; return a list"),
    ({"__init__": lambda self: None}, "write `def __init__(self, name, spec)`"),
    ({"api": 2}, "Stamp is for version 2 of the filter contract"),
    ({"results": "stamped"}, "Stamp.results is 'stamped'"),
    ({"results": ("",)}, "Stamp.results is ('',)"),
    ({"results": ("END",)}, "declares the result END"),
    ({"build_note": None}, "Stamp.build_note is None"),
    ({"schema": {"type": "strin"}}, "Stamp.schema cannot be used"),
    ({"schema": "Missing.json"}, "Stamp.schema cannot be used"),
    ({"schema": {"properties": {"name": {}}}}, "has a field 'name'"),
]


@pytest.mark.parametrize(("attributes", "problem"), BAD_CLASSES)
def test_a_class_that_breaks_the_contract_is_told(
    attributes: dict[str, object], problem: str
) -> None:
    bad = type("Bad", (Stamp,), attributes)
    fault = only_fault(discover([found(bad)]))
    assert problem in f"{fault.problem}; {fault.remedy}"


def test_helpers_and_hooks_that_can_be_called_are_right() -> None:
    def helper(*args: object) -> None:
        pass

    helpers = dict.fromkeys(("handle_message", "on_answers", "_on_tik", "closes"), helper)
    hooks = {"on_answer": Stamp.handle, "on_message": staticmethod(lambda session, message: None)}
    good = type("Good", (Stamp,), {**helpers, **hooks, "on_close": helper})
    assert not discover([found(good)]).broken


def test_one_bad_class_takes_its_whole_plugin_out() -> None:
    other = type("Other", (Stamp,), {"kind": "Other", "results": ("END",)})
    kinds = discover([found(Stamp, other)])
    assert not kinds
    assert kinds.broken
