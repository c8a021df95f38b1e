"""RequestAdaptor: what later filters and the backend get for a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from easews import (
    Context,
    Filter,
    HeaderChanges,
    SpecFault,
    Template,
    problem,
    replace_in_path,
    replace_path,
    replace_path_prefix,
    rewrite_target,
)


class RequestAdaptor(Filter):
    """Changes the method, path, host and headers of a request for those behind it."""

    kind = "RequestAdaptor"
    api = 1
    schema = "RequestAdaptor.json"

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        yield from HeaderChanges.faults(spec["header"], ("header",))
        if "host" in spec:
            yield from Template.faults(spec["host"], ("host",))
        if len(changes := list(spec.get("path", ()))) > 1:
            wrong = f"{' and '.join(changes)} cannot stand together"
            yield SpecFault(("path",), wrong, "keep one, or write a second RequestAdaptor")

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        self._method: str = spec.get("method", "")
        self._rewrite = _rewrite(spec.get("path", {}))
        self._host = Template(spec["host"]) if "host" in spec else None
        self._changes = HeaderChanges(spec["header"])

    async def handle(self, ctx: Context) -> None:
        request = ctx.request
        if self._rewrite is not None:
            try:
                target = rewrite_target(request.target, self._rewrite)
            except ValueError as error:
                ctx.response = problem(request, 400, str(error), id=ctx.id)
                return
        else:
            target = request.target
        # Every template sees the request as it came.
        host = self._host.render(ctx) if self._host is not None else ""
        # The log shows the fields that the client has sent.
        request.headers = request.headers.copy()
        self._changes.apply(request.headers, ctx)
        if host:
            request.headers.set("Host", host)
        request.target = target
        request.method = self._method or request.method


def _rewrite(path: Mapping[str, Any]) -> Callable[[str], str] | None:
    if "replace" in path:
        return replace_path(path["replace"])
    if "addPrefix" in path:
        return replace_in_path("^", path["addPrefix"].replace("$", "$$"))
    if "trimPrefix" in path:
        return replace_path_prefix(path["trimPrefix"], "")
    if "regexpReplace" in path:
        return replace_in_path(path["regexpReplace"]["regexp"], path["regexpReplace"]["replace"])
    return None
