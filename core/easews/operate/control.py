"""What may be asked of a running gateway, whether it is one process or several.

All values are plain, as JSON has them, so that another process can answer. `controlling` answers
for this process.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Literal, Protocol, TypedDict

from ..errors import EasewsError

#: What a gateway is at. It is `draining` when it has to stop and serves on for `drain.delay`, and
#: `stopping` when it accepts nothing more.
State = Literal["starting", "ready", "draining", "stopping"]
Outcome = Literal["reloaded", "unchanged", "refused"]


#: What is said of an id that no open session has.
NOT_OPEN = "no session with this id is open"


class Refused(EasewsError):
    """The gateway does not do what it was asked to; the text says why."""


class NotAvailable(EasewsError):
    """This gateway cannot do that at all."""


class ListenerState(TypedDict):
    """Where a server listens."""

    server: str
    address: str
    tls: bool


class OlderGeneration(TypedDict):
    """A generation that is served no longer, and how many sessions it has."""

    generation: int
    sessions: int


class WorkerState(TypedDict):
    """One of several processes."""

    number: int
    pid: int
    state: State
    sessions: int
    restarts: int


class Status(TypedDict):
    """The gateway as a whole.

    ready        whether new clients should be sent here
    started      when the process started, by `time.time`
    draining     sessions that wait for their Close
    held         bytes that are held for peers that read slowly
    backend      the event loop
    relay        how sessions are relayed, in the words of the package that does it
    workers      empty with one process
    kept_behind  sessions that have stayed in an older process
    """

    version: str
    state: State
    ready: bool
    pid: int
    started: float
    generation: int
    older: list[OlderGeneration]
    sessions: int
    draining: int
    held: int
    backend: str
    relay: str
    listeners: list[ListenerState]
    workers: list[WorkerState]
    kept_behind: int


class SessionState(TypedDict):
    """An open session. "in" is what the client has sent, as in the log.

    opened      when it opened, by `time.time`
    age         seconds since then
    handshake   seconds from the request to the answer
    client_rtt  seconds from the last ping to its pong; None when there was none
    worker      the number of its process; 0 with one process
    """

    id: str
    client: str
    server: str
    route: str
    pipeline: str
    backend: str
    path: str
    opened: float
    age: float
    handshake: float
    generation: int
    labels: dict[str, str]
    messages_in: int
    bytes_in: int
    messages_out: int
    bytes_out: int
    client_rtt: float | None
    backend_rtt: float | None
    held: int
    worker: int


class Query(TypedDict, total=False):
    """Which sessions are meant: those for which every field that is there holds.

    labels  all of these
    ids     any of these
    search  a text that is in any other of these fields, in upper or lower case
    limit   how many a page has, 100 without it
    after   the `next` of the page before
    """

    client: str
    server: str
    route: str
    pipeline: str
    backend: str
    path: str
    labels: Mapping[str, str]
    ids: list[str]
    search: str
    limit: int
    after: str


class SessionPage(TypedDict):
    """Some of the sessions that a query means, oldest first.

    total  how many it means altogether
    next   the `after` of the next page; None when this is the last one
    """

    sessions: list[SessionState]
    total: int
    next: str | None


class ServerState(TypedDict):
    """A server of a pool, as its pool sees it.

    since   when it got into this state, by `time.time`; None when that is not known
    error   why it last failed; None when it never has
    active  open sessions and requests in progress
    weight  its share of the requests at present, in proportion to those of the others
    """

    url: str
    state: str
    since: float | None
    error: str | None
    active: int
    weight: float


class PoolState(TypedDict):
    """A pool of a filter; `pool` is its place in the filter's list."""

    pipeline: str
    filter: str
    pool: int
    policy: str
    servers: list[ServerState]


class ReloadResult(TypedDict):
    """What has come of a reload.

    generation  the one that is served now
    changes     what is different, in the words of the config
    problems    why the config was refused
    """

    outcome: Outcome
    generation: int
    changes: list[str]
    problems: list[str]


class UpgradeResult(TypedDict):
    """What has come of an upgrade.

    outcome      whether a new process has taken over
    pid          that of the process in charge; where it stays, a helper may be until it is back
    moved        how many sessions the new process has taken over
    kept_behind  how many have stayed in the old one, which drains them
    problems     why no new process has taken over
    """

    outcome: Literal["upgraded", "refused"]
    pid: int
    moved: int
    kept_behind: int
    problems: list[str]


class WorkerReplaced(TypedDict):
    """What has come of the replacement of a worker.

    outcome      whether a new process has taken its place
    worker       its number
    pid          its process now; 0 when it has none
    moved        how many sessions the new process has taken over
    kept_behind  how many have stayed in the old one, which drains them
    problems     why it was not replaced, or what was lost
    """

    outcome: Literal["replaced", "refused"]
    worker: int
    pid: int
    moved: int
    kept_behind: int
    problems: list[str]


class Control(Protocol):
    """A running gateway, for whoever administers it.

    Each method may raise NotAvailable.
    """

    async def state(self) -> State:
        """What the gateway is at, which costs nothing: everybody may ask for it."""

    async def status(self) -> Status:
        """The gateway as a whole."""

    async def config(self) -> list[object]:
        """The objects that are served, defaults filled in and secrets masked as ``***``."""

    async def pools(self) -> list[PoolState]:
        """The pools of all filters, and the health of their servers."""

    async def sessions(self, query: Query) -> SessionPage:
        """Some of the open sessions."""

    async def session(self, id: str) -> SessionState | None:
        """An open session; None when there is none with this id."""

    async def close(self, query: Query, code: int, reason: str) -> int:
        """Have sessions closed, and return how many. Refused when the query has no condition."""

    async def ping(self, id: str) -> bool:
        """Ping both sides of a session; False when it is not open."""

    async def drain_server(self, url: str) -> int:
        """Drain a server: it gets nothing new, and its sessions are closed slowly; how many.

        Refused when no pool has such a server.
        """

    async def undrain_server(self, url: str) -> bool:
        """Use a server again; False when it was not drained."""

    async def reload(self) -> ReloadResult:
        """Read the config again, and serve it unless something is wrong with it."""

    async def upgrade(self) -> UpgradeResult:
        """Have a new process take over, with all sessions that can move."""

    async def replace_worker(self, number: int) -> WorkerReplaced | None:
        """Have a new process take the place of one of several workers, with all sessions that can
        move; None when there is no worker with this number. Refused when there are no workers.
        """

    async def metrics(self) -> bytes:
        """The metrics as OpenMetrics text."""

    def tap(self, id: str) -> AsyncGenerator[dict[str, Any], None]:
        """The frames of a session from now on, until this is closed: see `tapping`.

        Refused when no such session is open.
        """
