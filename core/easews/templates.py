"""Text with `{{Name}}` or `{{Name.argument}}` in it, which is filled in from a request.

A template is parsed once, when the config is loaded; filling it in is a join. Its text is as the
text of `Headers`: one character for each byte, and never a control character.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from .filters import Context, SpecFault
from .http import Headers
from .http.certificates import TOLD
from .http.forwarded import asked_scheme
from .http.headers import is_header_name
from .http.queries import Queries
from .spelling import did_you_mean

S = TypeVar("S")

_reference = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_control = re.compile(r"[\x00-\x1f\x7f]")
_any_name = re.compile(r"[^{}]+").fullmatch


class TemplateFault(ValueError):
    """What is wrong with a template, and what would be accepted."""

    def __init__(self, wrong: str, accepted: str) -> None:
        super().__init__(wrong, accepted)
        self.wrong: str = wrong
        self.accepted: str = accepted


class Argument(NamedTuple, Generic[S]):
    """A name that takes an argument: how its value is found, and which arguments it takes."""

    read: Callable[[S, str], str]
    takes: Callable[[str], object]
    meaning: str


class Names(NamedTuple, Generic[S]):
    """The names that a template may have."""

    plain: Mapping[str, Callable[[S], str]]
    with_argument: Mapping[str, Argument[S]]


Parts = Sequence[str | Callable[[S], str]]


def parse(text: str, names: Names[S]) -> Parts[S]:
    """The parts of a template, to be `filled`. TemplateFault when it has a fault."""
    pieces = _reference.split(text)
    for literal in pieces[::2]:
        if "{{" in literal:
            raise TemplateFault("a {{ has no }} behind it", "write it as in {{Method}}")
        if _control.search(literal):
            raise TemplateFault("there is a line break or control character", "write one line")
    return [
        _reader(piece, names) if index % 2 else as_bytes(piece)
        for index, piece in enumerate(pieces)
        if piece or index % 2
    ]


def filled(parts: Parts[S], subject: S) -> str:
    """The text of a template. Control characters in values are percent-encoded."""
    text = "".join([part if isinstance(part, str) else part(subject) for part in parts])
    if _control.search(text):
        return _control.sub(lambda found: f"%{ord(found[0]):02X}", text)
    return text


def as_bytes(text: str) -> str:
    """`text` with one character for each byte of its UTF-8, as `Headers` have it."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def _reader(reference: str, names: Names[S]) -> Callable[[S], str]:
    name, dot, argument = reference.partition(".")
    known = names.with_argument.get(name)
    if known is not None:
        if not known.takes(argument):
            wrong = f"{{{{{reference}}}}} has to name {known.meaning} behind a dot"
            near = did_you_mean(argument, known.meaning.split(", "))
            raise TemplateFault(wrong, near or f"write it as in {{{{{_example(name, known)}}}}}")
        read = known.read
        return lambda subject: read(subject, argument)
    plain = names.plain.get(name)
    if plain is None:
        near = did_you_mean(
            reference.strip(" .").partition(".")[0], [*names.plain, *names.with_argument]
        )
        raise TemplateFault(f"there is no {{{{{reference}}}}}", near or f"known: {_listed(names)}")
    if dot:
        raise TemplateFault(f"{{{{{name}}}}} takes nothing behind it", f"write {{{{{name}}}}}")
    return plain


def _example(name: str, known: Argument[S]) -> str:
    return f"{name}.{'X-User' if known.takes('X-User') else known.meaning.partition(',')[0]}"


def _listed(names: Names[S]) -> str:
    return ", ".join([*names.plain, *(f"{name}.…" for name in names.with_argument)])


def header_text(headers: Headers, name: str) -> str:
    """All values of a header, as one (RFC 9110 §5.3)."""
    return ", ".join(headers.get_all(name))


def _parameter(ctx: Context, name: str) -> str:
    return as_bytes(Queries(ctx.request.query).get(name))


def _of_certificate(ctx: Context, field: str) -> str:
    certificate = ctx.request.certificate
    return "" if certificate is None else TOLD[field](certificate)


#: What every template may say. `docs/reference/templates.md` explains the names.
REQUEST: Names[Context] = Names(
    {
        "Method": lambda ctx: ctx.request.method,
        "URI": lambda ctx: ctx.request.target,
        "Path": lambda ctx: ctx.request.raw_path,
        "Host": lambda ctx: ctx.request.host,
        "Scheme": lambda ctx: asked_scheme(ctx.request),
        "Proto": lambda ctx: f"HTTP/{ctx.request.version}",
        "RealIP": lambda ctx: ctx.request.client.host,
        "RemoteAddr": lambda ctx: str(ctx.request.peer),
        "RequestID": lambda ctx: ctx.id,
        "Server": lambda ctx: ctx.route.server,
        "Route": lambda ctx: as_bytes(ctx.route.path),
        "Pipeline": lambda ctx: ctx.route.pipeline,
    },
    {
        "Header": Argument(
            lambda ctx, name: header_text(ctx.request.headers, name), is_header_name, "a header"
        ),
        "Query": Argument(_parameter, _any_name, "a parameter of the query"),
        "Label": Argument(
            lambda ctx, name: as_bytes(ctx.labels.get(name, "")), _any_name, "a label"
        ),
        "Certificate": Argument(_of_certificate, TOLD.__contains__, ", ".join(TOLD)),
    },
)


class Template:
    """Text with `{{Name}}` in it, as users write it for the value of a header.

    The [names](templates.md) are those of the request, of its route, of the client's certificate,
    and of labels. A value that is not there is empty. The result can be a header's value: it has
    one character for each byte, and control characters are percent-encoded.

    TemplateFault, a ValueError, when `text` has an unknown name; `faults` reports the same to
    `easews validate`.
    """

    __slots__ = ("_parts",)

    def __init__(self, text: str) -> None:
        self._parts = parse(text, REQUEST)

    @staticmethod
    def faults(text: str, path: Sequence[str | int]) -> Iterator[SpecFault]:
        """The fault of a template that stands at `path` of a spec, if it has one."""
        try:
            parse(text, REQUEST)
        except TemplateFault as fault:
            yield SpecFault(path, fault.wrong, fault.accepted)

    def render(self, ctx: Context) -> str:
        """The text for this request."""
        return filled(self._parts, ctx)
