"""Changes of headers as a config has them: del, set and add, with templates as values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from .filters import Context, SpecFault
from .http import Headers, hyphenated
from .http.headers import is_header_name
from .http.passing import HOP_BY_HOP
from .templates import Template

# What is for one hop only, what frames a body, and what both ends of a handshake prove.
_OURS = {
    *HOP_BY_HOP,
    "content-length",
    "sec-websocket-accept",
    "sec-websocket-key",
    "sec-websocket-version",
}


class HeaderChanges:
    """Changes of headers, made of a spec that fits ``urn:easews:common#/$defs/headerChanges``.

    First the headers in `del` are removed, then those in `set` replace what is there, and those in
    `add` are added, as in Easegress. Values are templates. A header whose value is empty for a
    request is not written; `set` removes it all the same, so what a client sends never takes the
    place of a value that is missing.

    TemplateFault when a value is no template: let your `check` yield the `faults`.
    """

    __slots__ = ("_add", "_del", "_set")

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._del: Sequence[str] = spec.get("del", ())
        self._set = [(name, Template(text)) for name, text in spec.get("set", {}).items()]
        self._add = [(name, Template(text)) for name, text in spec.get("add", {}).items()]

    @staticmethod
    def faults(
        spec: Mapping[str, Any], path: Sequence[str | int], besides: Collection[str] = ()
    ) -> Iterator[SpecFault]:
        """The faults of a spec that stands at `path`: headers that are not to be changed, and
        values that are no templates. `besides` names further such headers, in lower case.
        """
        for number, name in enumerate(spec.get("del", ())):
            yield from _name_faults(name, (*path, "del", number), besides)
        for verb in ("set", "add"):
            for name, text in spec.get(verb, {}).items():
                yield from _name_faults(name, (*path, verb, name), besides)
                yield from Template.faults(text, (*path, verb, name))

    def apply(self, headers: Headers, ctx: Context) -> None:
        """Change `headers`: those of the request or those of the answer of `ctx`."""
        # All values first: one may come from a header that is removed or replaced.
        changes = [(name, template.render(ctx).strip()) for name, template in self._set]
        added = [(name, template.render(ctx).strip()) for name, template in self._add]
        if self._del:
            headers.remove(*self._del)
        for name, value in changes:
            headers.remove(name)
            if value:
                headers.add(name, value)
        for name, value in added:
            if value:
                headers.add(name, value)


def _name_faults(
    name: str, path: Sequence[str | int], besides: Collection[str]
) -> Iterator[SpecFault]:
    if not is_header_name(name):
        yield SpecFault(path, f"{name!r} is no header name", "letters, digits and hyphens")
    elif hyphenated(name) == "host":
        yield SpecFault(path, "Host cannot be changed here", "RequestAdaptor has the field host")
    elif hyphenated(name) in {*_OURS, *besides}:
        wrong = f"{name} cannot be changed: client and backend have to agree with easews on it"
        yield SpecFault(path, wrong, "leave it out")
