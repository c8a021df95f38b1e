"""The kit for authors' tests: filters made as the engine makes them, classes beside packages."""

from __future__ import annotations

import pytest

from easews import ConfigError, Context, Filter, PluginError, Response, hookimpl
from easews.plugins import Found
from easews.testing import kinds_with, load_config, make_context, make_filter


class Greeting(Filter):
    """Greets."""

    kind = "Greeting"
    schema = {  # noqa: RUF012
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "every": {"$ref": "urn:easews:common#/$defs/duration", "default": "5s"},
            "names": {"type": "array", "items": {"type": "string"}, "default": []},
        },
        "required": ["text"],
        "additionalProperties": False,
    }

    async def handle(self, ctx: Context) -> None:
        ctx.response = Response(200, content=self.spec["text"])


class Louder(Greeting):
    """Greets loudly."""


async def test_a_filter_is_made_with_its_defaults_in_their_units() -> None:
    greeting = make_filter(Greeting, text="hi")
    assert (greeting.name, greeting.spec) == ("greeting", {"text": "hi", "every": 5.0, "names": []})
    ctx = make_context()
    await greeting.handle(ctx)
    assert isinstance(ctx.response, Response)


def test_values_are_taken_as_they_are_and_not_as_variables() -> None:
    spec = make_filter(Greeting, name="g", text="${HOME} $$ é", names=["$1", 'a: "b"']).spec
    assert (spec["text"], spec["names"]) == ("${HOME} $$ é", ["$1", 'a: "b"'])


@pytest.mark.parametrize("spec", [{}, {"text": 1}, {"text": "hi", "evry": "5s"}])
def test_a_wrong_spec_makes_no_filter(spec: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        make_filter(Greeting, **spec)


class Installed:
    """The entry point of a package that brings Greeting."""

    name = value = "greeting"

    def load(self) -> Installed:
        return self

    @hookimpl
    def easews_filters(self) -> list[type[Filter]]:
        return [Greeting]


def test_a_class_takes_the_place_of_the_installed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Found("easews-greeting", "1", Installed())]
    monkeypatch.setattr("easews.testing.contexts.installed", lambda: found)
    assert kinds_with()["Greeting"].filter_class is Greeting
    assert kinds_with(Louder)["Greeting"].filter_class is Louder
    text = "{kind: Pipeline, name: p, filters: [{kind: Greeting, name: g, text: hi}]}"
    (pipeline,) = load_config(text, Louder).pipelines
    assert pipeline.filters[0].kind.filter_class is Louder


def test_a_class_that_is_no_filter_is_told() -> None:
    with pytest.raises(PluginError, match="the-test"):
        kinds_with(type("Bad", (Greeting,), {"kind": ""}))
