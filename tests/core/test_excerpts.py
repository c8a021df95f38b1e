"""The line with the fault: as the file has it, underlined, and never with a secret in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from easews import ConfigError, Context, Filter
from easews.cli.excerpt import underlined
from easews.cli.report import problems_text
from easews.config import Source, from_sources
from easews.errors import Problem
from easews.filters import schema_of
from easews.plugins import Kind, Kinds

SECRET = "hunter2"


class Login(Filter):
    """Asks for a password."""

    kind = "Login"
    schema: ClassVar[Mapping[str, Any] | str] = {
        "type": "object",
        "properties": {
            "realm": {"type": "string"},
            "password": {"type": "string", "writeOnly": True, "minLength": 100},
            "users": {"type": "object", "writeOnly": True},
        },
    }

    async def handle(self, ctx: Context) -> None:
        pass


KINDS = Kinds([Kind("Login", Login, schema_of(Login), "the-test", "0")])


def problems(text: str, **environ: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        from_sources([Source("f", text)], KINDS, environ)
    return caught.value.problems


def spots(text: str, **environ: str) -> list[tuple[str, str]]:
    return [underlined(problem, 80) for problem in problems(text, **environ)]


def login(fields: str) -> str:
    return f"kind: Pipeline\nname: p\nfilters:\n- kind: Login\n  name: l\n{fields}"


def test_a_value_is_underlined_from_end_to_end() -> None:
    assert spots("{kind: HTTPServer, name: w, port: 'many'}") == [
        ("{kind: HTTPServer, name: w, port: 'many'}", " " * 34 + "^^^^^^")
    ]


def test_a_list_is_underlined_in_its_first_line() -> None:
    text = "kind: HTTPServer\nname: w\nport: [1,\n  2]"
    assert spots(text) == [("port: [1,", "      ^^^")]


def test_a_variable_is_shown_by_its_name() -> None:
    (problem,) = problems("{kind: HTTPServer, name: w, port: '${P}'}", P=SECRET)
    assert "'${P}'" in problem.excerpt
    assert SECRET not in str(problem) + problem.excerpt


# Whatever is wrong, and in whichever line: the secret of the config is in none of them.
SECRETS = {
    "its own fault": login(f"  password: {SECRET}"),
    "a neighbour's": f"{{kind: Pipeline, name: p, filters: [{{kind: Login, name: l, "
    f"password: {SECRET * 20}, relm: x}}]}}",
    "in quotes": login(f"  password: '{SECRET}' # why"),
    "behind an anchor": login(f"  relm: &x {SECRET}\n  password: *x"),
    "in a mapping": login(f"  users: {{me: {SECRET}}}\n  relm: x").replace("\n  relm", ", relm"),
    "under a slip of its name": login(f"  pasword: {SECRET}"),
    "of a kind that is not installed": login(f"  password: {SECRET}").replace("Login", "Logim"),
    "with all in one line": f"{{kind: Piepline, name: p, filters: [{{password: {SECRET}}}]}}",
    "not YAML": login(f"  password: @{SECRET}"),
    "not YAML in quotes": login(f'  "password": "{SECRET}\\d"'),
    "not YAML in a block": login(f"  password: |\n    x\n    {SECRET}\x07"),
}


# A URL's user, password, query and fragment, in whatever field, with whatever fault.
URLS = [
    "ws://me:{}@h/a",
    "ws://{}@h",
    "me:{}@127.0.0.1:80",
    "ws://h:80/?token={}",
    "ws://h/a#{}",
    "ws://h/a b?x={}",
    "tcp://me:{}/x@h",
]


@pytest.mark.parametrize("url", URLS)
def test_the_secrets_of_a_url_are_masked(url: str) -> None:
    text = login(f"  realm: [x, '{url.format(SECRET)}']\n  {url.format(SECRET)}: x")
    kind = f"kind: '{url.format(SECRET)}'\nname: x"
    found = (*problems(text.rpartition("\n")[0]), *problems(kind))
    assert any("*" * len(SECRET) in problem.excerpt for problem in found)
    assert SECRET not in problems_text(found, width=200, colour=True) + str(found[-1])


def test_the_secrets_of_a_url_are_masked_in_what_is_no_yaml() -> None:
    (problem,) = problems(f"port: 1\nurl: 'ws://me:{SECRET}@h' x")
    assert problem.excerpt.startswith("url: 'ws://****")
    assert SECRET not in problem.excerpt


@pytest.mark.parametrize("case", SECRETS)
def test_a_secret_is_masked(case: str) -> None:
    found = problems(SECRETS[case])
    assert any(problem.excerpt for problem in found)
    assert SECRET not in problems_text(found, width=200, colour=True)


def test_the_rest_of_a_line_with_a_secret_is_shown() -> None:
    (problem,) = problems(SECRETS["its own fault"])
    assert problem.excerpt == "  password: *******"


def cut(line: str, column: int, end: int, width: int = 40) -> tuple[str, str]:
    problem = Problem("f", 1, column, "", "x", end_line=1, end_column=end, excerpt=line)
    return underlined(problem, width)


def test_a_long_line_is_cut_around_the_spot() -> None:
    shown, carets = cut("a" * 100 + "SPOT" + "b" * 100, 101, 105)
    assert shown == "..." + "a" * 20 + "SPOT" + "b" * 10 + "..."
    assert shown[carets.index("^") : len(carets)] == "SPOT"


def test_a_spot_that_is_longer_than_the_line_ends_with_it() -> None:
    assert cut("a: " + "b" * 100, 4, 104) == ("a: " + "b" * 34 + "...", "   " + "^" * 37)


@pytest.mark.parametrize(
    ("line", "column", "shown", "carets"),
    [
        ("\tx: y", 2, " x: y", " ^"),
        ("\x1b[31mx", 6, "\N{REPLACEMENT CHARACTER}[31mx", "     ^"),
        ("名: x", 4, "名: x", "    ^"),
        ("e\u0301: x", 5, "e\u0301: x", "   ^"),
        ("a: b\u202ec", 4, "a: b\N{REPLACEMENT CHARACTER}c", "   ^"),
    ],
)
def test_the_carets_stand_below_what_is_seen(
    line: str, column: int, shown: str, carets: str
) -> None:
    assert cut(line, column, column + 1) == (shown, carets)


def test_a_terminal_gets_place_spot_and_remedy() -> None:
    problem = Problem(
        *("f.yaml", 12, 4, "w.a", "is wrong", "do this"),
        end_line=12,
        end_column=6,
        excerpt="a: 17",
        kind="W",
    )
    assert problems_text([problem], width=80, colour=False, kinds={"W"}).splitlines() == [
        "is wrong",
        "  --> f.yaml:12:4  w.a",
        "   |",
        "12 | a: 17",
        "   |    ^^",
        "   = do this",
        "",
        "1 problem; for the fields: easews kinds W",
    ]
    assert "\x1b[31m   ^^\x1b[0m" in problems_text([problem], width=80, colour=True)
    assert problems_text([problem], width=None, colour=False) == str(problem)
