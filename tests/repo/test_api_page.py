"""How the API reference shows a class: its attributes with their meaning, its lists and code."""

from __future__ import annotations

import pytest

import api_page
from docstrings import markdown


def entry(name: str) -> str:
    """The part of the API reference about `name`."""
    return api_page.api_page().split(f"\n### {name}\n")[1].partition("\n### ")[0]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Request", "- `method: str`: the method, such as `GET`"),
        ("Opening", "- `client: str = ''`: the client's address"),
        ("Ending", "- `from_client: Traffic = Traffic()`: what the client has sent"),
        ("ConfigError", "- `problems: tuple[Problem, ...]`: all of its faults, in the order"),
        ("Running", "- `address: Address`: Where the config's first server listens."),
        ("make_poller", "`make_poller() -> Poller`"),
    ],
)
def test_what_a_name_has_is_shown_with_its_meaning(name: str, line: str) -> None:
    assert f"\n{line}" in entry(name)


def test_attributes_of_the_engine_are_not_shown() -> None:
    assert "notes: Notes" in entry("Context")
    assert "`entered: " not in entry("Context")


def test_a_docstring_cannot_explain_what_is_not_there() -> None:
    class Stale:
        """Has a table.

        gone  an attribute that was renamed
        """

    with pytest.raises(ValueError, match="gone"):
        api_page._class(Stale)


def test_a_table_a_list_and_code_become_markdown() -> None:
    docstring = """What it is.

one, two  the first ones
three     the third one, which has
          a long meaning

1. a step that
   goes on

An example::

    if True:
        print(``x``)"""

    assert markdown(docstring, lambda names, meaning: f"- {names}: {meaning}") == (
        "What it is.\n\n"
        "- one, two: the first ones\n- three: the third one, which has a long meaning\n\n"
        "1. a step that\n   goes on\n\n"
        "An example:\n\n```python\nif True:\n    print(``x``)\n```"
    )
