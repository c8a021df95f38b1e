"""A new config in the place of the one that is served, whoever asks for it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence, Sized
from typing import Any, Protocol, get_args

import anyio

from ..config.model import Config
from ..errors import ConfigError, EasewsError
from ..observe.logs import log_event
from ..server import ServerTls
from .control import Outcome, ReloadResult
from .descriptors import raise_limit
from .serving.changes import MOST_TOLD, listed
from .serving.reload import Plan
from .serving.renewal import told, warn_of_old

log: logging.Logger = logging.getLogger("easews")

#: Seconds after which a reload is given up: a config is read from a disk that hangs, or a filter
#: does not start.
PATIENCE = 120.0


class Served(Protocol):
    """What a reload has serve another config: the gateway of this process, or several workers."""

    @property
    def config(self) -> Config:
        """What is served."""

    @property
    def generation(self) -> int:
        """How many configs have been served."""

    @property
    def older(self) -> Mapping[int, int]:
        """The older generations that are in use, and how many sessions each has."""

    @property
    def sessions(self) -> Sized:
        """The open sessions."""

    @property
    def draining(self) -> int:
        """How many sessions wait for their Close."""

    @property
    def tls(self) -> Mapping[str, ServerTls]:
        """The certificates that this process serves."""

    async def replace(self, config: Config) -> Plan:
        """Serve `config` from now on."""


class NothingToServe(EasewsError):
    """The config has no server."""


class Reloader:
    """Reloads when it is asked to. `read` reads the config again.

    outcomes  how often each has come of it
    """

    def __init__(self, read: Callable[[], Awaitable[Config]]) -> None:
        self.outcomes: Counter[str] = Counter(dict.fromkeys(get_args(Outcome), 0))
        self._read = read
        self._asked: list[str] = []
        self._begun: Sequence[str] = ()  # whose reload goes on
        self._pass_on: Callable[[], None] | None = None
        self._running: anyio.CancelScope | None = None
        self._wanted: anyio.Event | None = None
        self._reloading = anyio.Lock()
        #: Called when a reload begins, and when it has ended, whatever has come of it.
        self.on_begin: list[Callable[[], None]] = []
        self.on_end: list[Callable[[], None]] = []

    def ask(self, why: str) -> None:
        """Reload soon. While a reload goes on, all that ask are served by one that follows it:
        what they have changed may have been read before.
        """
        if self._pass_on is not None:
            self._pass_on()
            return
        self._asked.append(why)
        if self._wanted is not None:
            self._wanted.set()

    async def run(self, gateway: Served) -> None:
        """Have `gateway` serve what is read, whenever somebody asks, until cancelled, or until it
        is left to another process.
        """
        with anyio.CancelScope() as self._running:
            while True:
                self._wanted = anyio.Event()
                if not self._asked:
                    await self._wanted.wait()
                self._begun, self._asked = self._asked, []
                await self.reload(gateway, ", ".join(dict.fromkeys(self._begun)))
                self._begun = ()

    def leave_to(self, other: Callable[[], None]) -> None:
        """Another process serves: `other` has it reload. It is called for those who have asked and
        are not served yet, and for those who will ask.
        """
        if self._running is not None:
            self._running.cancel()
        self._pass_on = other
        if self._asked or self._begun:
            other()

    async def reload(self, gateway: Served, why: str) -> ReloadResult:
        """Read the config, and serve it. What is wrong is logged, and then nothing changes.

        One reload at a time: whoever asks during another one waits for its end.
        """
        async with self._reloading:
            for call in self.on_begin:
                call()
            try:
                result = await self._reload(gateway, why)
            except BaseException:  # of a stop, or of a client that does not wait for the answer
                if self._pass_on is None:
                    log.warning("not reloaded, generation %d goes on: given up", gateway.generation)
                raise
            finally:
                for call in self.on_end:
                    call()
            self.outcomes[result["outcome"]] += 1
            return result

    async def _reload(self, gateway: Served, why: str) -> ReloadResult:
        log.info("%s: the config is read again", why)
        try:
            with anyio.fail_after(PATIENCE):
                config = await self._read()
                if not config.servers:
                    raise NothingToServe("there is no HTTPServer in it; write one")
                before = set(gateway.tls.values())
                plan = await gateway.replace(config)
        except ConfigError as error:
            log_all(error.problems)
            why = "it has faults; `easews validate` shows them, too"
            return _not_reloaded(gateway, why, list(map(str, error.problems)))
        except EasewsError as error:
            return _not_reloaded(gateway, str(error))
        except TimeoutError:
            return _not_reloaded(gateway, f"that took more than {PATIENCE:g} s")
        except Exception:
            log.exception("not reloaded: generation %d goes on", gateway.generation)
            return _result("refused", gateway, problems=["it failed; the log says more"])
        _tell(gateway, plan)
        raise_limit(config)
        for tls in set(gateway.tls.values()) - before:
            for pair in tls.pairs:
                log.info("%s", told(tls.name, pair))
            warn_of_old(tls)
        outcome: Outcome = "reloaded" if plan.changes else "unchanged"
        return _result(outcome, gateway, list(map(str, plan.changes)))


def log_all(problems: Sequence[object]) -> None:
    """Log each problem by itself, as `validate` prints it."""
    for problem in problems[:MOST_TOLD]:
        log.error("%s", problem)
    if len(problems) > MOST_TOLD:
        log.error("and %d more", len(problems) - MOST_TOLD)


def _not_reloaded(gateway: Served, why: str, problems: Sequence[str] = ()) -> ReloadResult:
    log.error("not reloaded, generation %d goes on: %s", gateway.generation, why)
    return _result("refused", gateway, problems=problems or [why])


def _result(
    outcome: Outcome, gateway: Served, changes: Sequence[str] = (), problems: Sequence[str] = ()
) -> ReloadResult:
    return {
        "outcome": outcome,
        "generation": gateway.generation,
        "changes": [*changes],
        "problems": [*problems],
    }


def _tell(gateway: Served, plan: Plan) -> None:
    if not plan.changes:
        log.info("nothing has changed: generation %d goes on", gateway.generation)
        return
    older = gateway.older
    fields: dict[str, Any] = {
        "generation": gateway.generation,
        "changes": listed(plan.changes),
        "sessions": len(gateway.sessions),
        "draining": gateway.draining,
        "older": ", ".join(f"{number} ({count})" for number, count in older.items()),
    }
    log_event(log, "reloaded", fields)
