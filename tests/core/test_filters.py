"""The contract's small parts: notes, and what a class says of itself."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from easews import Filter, Message, Notes, Opening
from easews.filters import schema_of
from easews.testing import OpenSession


@dataclass
class Tenant:
    name: str


def test_a_note_is_found_by_its_class() -> None:
    notes = Notes()
    assert Tenant not in notes
    assert notes.get(Tenant) is None
    notes.put(Tenant("acme"))
    assert Tenant in notes
    assert notes[Tenant] is notes.get(Tenant)
    assert notes[Tenant].name == "acme"


def test_the_last_note_of_a_class_counts() -> None:
    notes = Notes()
    notes.put(Tenant("acme"))
    notes.put(Tenant("other"))
    assert notes[Tenant].name == "other"


def test_a_note_that_nobody_has_left_is_an_error_with_its_class() -> None:
    with pytest.raises(
        LookupError,
        match=r"no note of class Tenant .* \(session\.notes\.put\(Tenant\(\)\)\), or place",
    ):
        Notes()[Tenant]


def test_a_schema_file_has_to_hold_an_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_filters" / "schemas").mkdir(parents=True)
    (tmp_path / "acme_filters" / "__init__.py").touch()
    (tmp_path / "acme_filters" / "schemas" / "List.json").write_text("[]")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "acme_filters", raising=False)
    members = {"kind": "List", "schema": "List.json", "__module__": "acme_filters.list"}
    with pytest.raises(ValueError, match=r"List\.json holds no JSON object"):
        schema_of(type("List", (Filter,), members))


def test_a_class_that_changes_some_messages_may_leave_the_others_to_its_base() -> None:
    class Shouts(Filter):
        def on_message(self, session: object, message: Message) -> object:  # type: ignore[override]
            if message.data == "hi":
                return "HI"
            return super().on_message(session, message)  # type: ignore[arg-type]

    hooks, session = Shouts("shouts", {}), OpenSession(Opening("1"))
    other = Message("hello", "client")
    assert hooks.on_message(session, Message("hi", "client")) == "HI"
    assert hooks.on_message(session, other) is other
