"""Scalars: variables are put in, then a plain one gets its type (YAML 1.2 §10.3.2, core schema).

So `no`, `on` and `12:30` are text, `017` is 17, and `port: ${PORT}` is a number. PyYAML's own
types are those of YAML 1.1, which is why they are not used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Scalar = str | int | float | bool | None

# ASCII, so that `${1}`, a group in a replacement, and whatever no shell would take stay as they
# are. The last alternative is a variable that was begun and not finished.
_VARIABLE = re.compile(
    r"\$\$"
    r"|\$\{(?P<name>[A-Za-z_]\w*)(?::-(?P<default>(?:(?!\$\{)[^}])*))?\}"
    r"|(?P<unfinished>\$\{[A-Za-z_])",
    re.ASCII,
)

# What a plain scalar may look like, the first that fits, and how it is read.
_TYPES: dict[str, tuple[str, Callable[[str], Scalar]]] = {
    "null": (r"|~|null|Null|NULL", lambda _: None),
    "bool": (r"true|True|TRUE|false|False|FALSE", lambda text: text.lower() == "true"),
    # Python refuses to convert thousands of digits; no field has use for hundreds.
    "int": (r"[-+]?[0-9]{1,300}", int),
    "based": (r"0o[0-7]+|0x[0-9a-fA-F]+", lambda text: int(text, 0)),
    "float": (r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", float),
    "special": (
        r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        lambda text: float(text.replace(".", "")),
    ),
}
_typed = re.compile("|".join(f"(?P<{name}>{form})" for name, (form, _) in _TYPES.items()))


class VariableError(ValueError):
    """A variable cannot be put in: what is wrong, and what would be accepted. No values."""

    def __init__(self, wrong: str, accepted: str) -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.accepted = accepted


def substitute(text: str, environ: Mapping[str, str]) -> tuple[str, bool]:
    """`text` with its variables put in, and whether it had any. VariableError when one is unset.

    ``${NAME:-default}`` gives the default when NAME is unset or empty; ``$$`` is one ``$``.
    """
    if "$" not in text:
        return text, False
    found = list(_VARIABLE.finditer(text))
    if any(match["unfinished"] for match in found):
        raise VariableError(
            "a ${ is not closed, or holds more than a name and a default",
            "write ${NAME} or ${NAME:-default}, and $$ for the character $",
        )
    unset = [
        name
        for match in found
        if (name := match["name"]) and match["default"] is None and name not in environ
    ]
    if unset:
        names = list(dict.fromkeys(unset))
        several = len(names) > 1
        raise VariableError(
            f"the variable{'s' if several else ''} {' and '.join(names)} "
            f"{'are' if several else 'is'} not set",
            f"set {'them' if several else 'it'}, or write a default: ${{{names[0]}:-default}}",
        )

    def value(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return "$"
        default = match["default"]
        given = environ.get(name, "")
        return given if given or default is None else default

    return _VARIABLE.sub(value, text), any(match["name"] for match in found)


def typed(plain: str) -> Scalar:
    """The value of a plain scalar."""
    found = _typed.fullmatch(plain)
    if found is None or found.lastgroup is None:
        return plain
    _, convert = _TYPES[found.lastgroup]
    return convert(plain)
