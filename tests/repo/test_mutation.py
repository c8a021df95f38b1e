"""`scripts/mutants`: what it changes is there, and what is explained is still so."""

from __future__ import annotations

import pytest

import mutation

EXPLAINED = mutation.changes_in(mutation.EXPLAINED.read_text())


@pytest.mark.parametrize("file", mutation.RULES)
def test_a_file_that_is_changed_and_its_tests_are_there(file: str) -> None:
    assert (mutation.ROOT / file).is_file()
    files = (test.partition("::")[0] for test in mutation.RULES[file])
    assert all((mutation.ROOT / tests).is_file() for tests in files)
    assert mutation.in_copy(file).startswith("src/easews")


def test_every_change_that_is_explained_is_one_of_a_line_that_is_there() -> None:
    lines = {
        line.strip()
        for file in mutation.RULES
        for line in (mutation.ROOT / file).read_text().splitlines()
    }
    assert EXPLAINED
    assert not [old for old, _ in EXPLAINED if old not in lines]


def test_a_change_is_known_again_wherever_it_stands() -> None:
    diff = "--- a\n+++ a\n@@ -1,2 +1,2 @@\n def f():\n-    return 1\n+    return 2\n"
    assert mutation.changes_in(diff) == {("return 1", "return 2")}
    assert mutation.changes_in(f"```diff\n{diff}```\n") == {("return 1", "return 2")}


def test_a_file_outside_of_the_packages_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"tests/conftest\.py is no file of a package of ours"):
        mutation.tests_of("tests/conftest.py")


def test_the_tests_of_any_other_file_are_those_of_its_package() -> None:
    assert mutation.tests_of("core/easews/addresses.py") == ("tests/core",)
