"""What a filter is: a class, whose instances handle requests and sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar, NamedTuple, Self

from ..messages import Message, Reads, Result
from ..services import Service
from ..sessions import Ending, Session
from .context import Context

#: The version of the contract that this engine offers to filters.
API = 1
#: The result of a filter that raised, or broke the contract. Every kind has it.
INTERNAL_ERROR = "internalError"
#: The target that ends a flow.
END = "END"


class SpecFault(NamedTuple):
    """A fault in a filter's spec, which `easews validate` reports with its place in the file.

    path      where it is in the spec, as in ``("pools", 0, "servers")``
    wrong     what is wrong
    accepted  what would be accepted
    """

    path: Sequence[str | int]
    wrong: str
    accepted: str = ""


class Filter:
    """Base class of filters. Subclass it, and return the class from your plugin's hook.

    The class attributes describe the kind of filter:

    kind            the name in configs
    schema          a JSON Schema (draft 2020-12) of the filter's own fields, or the name of a
                    file in your package's folder `schemas`
    results         the strings that `handle` may return besides None
    services        the services that the filter uses
    sees_answers    whether `handle` is called even when an earlier filter has set an answer
    unbounded_body  whether the filter limits what a client sends, so that a path that leads to
                    it must have ``clientMaxBodySize: -1``
    opens_sessions  whether the filter answers with WebSocket sessions, as a proxy does: then
                    `easews validate` reports filters of messages that stand behind it
    trusted_field   the field that lists the proxies which this filter trusts, if it has one:
                    `easews validate` reports those that the server does not trust
    build_note      what differs between installations of the package, such as a part that is
                    only compiled where there is a compiler; shown by `easews kinds`, `easews run`
                    and `easews --version`
    api             the version of this contract that the filter was written for
    reads           which messages `on_message` gets; an instance may set its own in ``__init__``
    tick            seconds from one `on_tick` to the next
    hook_timeout    seconds that an async hook may take

    The first line of the docstring is the summary that `easews kinds` prints.

    An instance has two attributes:

    name  the entry's `name`
    spec  the entry's own fields, complete: defaults are filled in, durations are seconds, sizes
          are bytes

    Its life:

    1. `check(spec)`: `easews validate` and `easews run` ask for faults that the schema cannot
       express.
    2. ``__init__(name, spec)`` is called once for each entry of a pipeline's `filters`. It may
       raise: nothing is served yet.
    3. `inherit(previous)` is called only when a new config replaces the served one and has
       changed this entry. `previous` is still entered, and keeps its own requests and sessions.
       An entry that has not changed keeps its instance, and steps 2 to 4 are skipped.
    4. ``__aenter__`` runs in the instance's own task, after the services have started. When it
       raises, the config is not served; a config that was served before stays in place.
    5. `handle(ctx)` is called for each request, many at a time. Once there is an answer, a filter
       is skipped unless it says `sees_answers` or a `jumpIf` leads to it.
    6. `on_answer(ctx)` is called when the flow is over, for each filter whose `handle` was
       called, in reverse order. The answer may be a filter's, or one of the engine's such as 503.
    7. When the answer has opened a WebSocket session: `on_open(session)` before its first
       message, `on_message(session, message)` for each message that `reads` names,
       `on_tick(session)` each `tick` seconds, and `on_close(session, ending)` at its end, for each
       filter whose `handle` was called. A client's message meets the filters in the order of the
       flow, a backend's in reverse order. What a class does not override costs nothing.
    8. ``__aexit__`` runs in the same task as ``__aenter__``, when no config names the instance
       any more and its last request and session are over.
    """

    kind: ClassVar[str]
    schema: ClassVar[Mapping[str, Any] | str] = {"type": "object", "properties": {}}
    results: ClassVar[Sequence[str]] = ()
    services: ClassVar[Sequence[type[Service]]] = ()
    sees_answers: ClassVar[bool] = False
    unbounded_body: ClassVar[bool] = False
    opens_sessions: ClassVar[bool] = False
    trusted_field: ClassVar[str] = ""
    build_note: ClassVar[str] = ""
    api: ClassVar[int] = API
    reads: Reads = Reads()
    tick: ClassVar[float] = 1.0
    hook_timeout: ClassVar[float] = 30.0

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        """The faults of a spec that the schema cannot express, such as fields that disagree.

        `easews validate` reports each with its place in the file. `spec` is as for `__init__`.
        """
        return ()

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        """`spec` is valid and complete: defaults are filled in, durations are seconds, sizes are
        bytes.
        """
        self.name: str = name
        self.spec: Mapping[str, Any] = spec

    async def handle(self, ctx: Context) -> str | None:
        """Handle one request: read and change `ctx.request`, or answer by setting `ctx.response`.

        Return None (or "") to go on to the next filter. Return one of `results` to end the flow,
        or to jump to the filter that a `jumpIf` of the flow names. Once `ctx.response` is set,
        later filters are skipped, except those that say `sees_answers` and the target of a
        `jumpIf`; set it to None to withdraw the answer. Never block the event loop: await, or use
        a thread.

        A filter that only reads messages, or changes answers, need not override it.
        """
        return None

    async def on_answer(self, ctx: Context) -> None:
        """Change the answer before it is sent: the headers of `ctx.response`, or all of it.

        A filter that stands before a proxy changes the proxy's answer in this way. It is not
        called when the client has left. When it raises, the client gets 500 instead.
        """

    def on_open(self, session: Session) -> Awaitable[None] | None:
        """A session has opened that came past this filter. It may be ``async def``: the first
        message is read when it has returned.
        """

    def on_message(self, session: Session, message: Message) -> Result | Awaitable[Result]:
        """Read one message, and say what goes on in its place.

        Return `message` itself to let it pass as it came, another message (or str, or bytes) to
        change it, a list to send several, None to drop it, or a `Close` to end the session.

        As a plain function it is called where the message is read, and nothing is faster. As
        ``async def`` it runs in a task of its own, and the sender is not read until it returns:
        order is kept, and a sender waits for a slow hook. When it raises, the entry's `onError`
        decides: `close` (1011), `pass` or `drop`.
        """
        return message

    def on_tick(self, session: Session) -> Awaitable[None] | None:
        """`tick` seconds have passed. It is not called again while an earlier call is awaited."""

    def on_close(self, session: Session, ending: Ending) -> Awaitable[None] | None:
        """The session is over. Nothing can be sent any more; its `notes` are still there."""

    def inherit(self, previous: Filter) -> None:
        """Take over state from `previous`, the instance that this one replaces.

        `previous` is of the same kind. Check its type if your class may have changed meanwhile.
        """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


#: The methods by which a filter takes part; a class has at least one of its own.
HOOKS = ("handle", "on_answer", "on_open", "on_message", "on_tick", "on_close")


def overrides(filter_class: type[Filter], hook: str) -> bool:
    """Whether the class has a hook (such as ``on_message``) of its own."""
    return getattr(filter_class, hook) is not getattr(Filter, hook)
