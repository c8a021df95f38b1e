"""The listeners of the served config, one for each HTTPServer. One that listens where it did stays
when another config is served.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from anyio.abc import TaskGroup

from ...config.model import ServerSpec
from ...filters import Context
from ...observe.accesslog import AccessLog, OnRequest
from ...observe.formatted import FormattedAccessLog
from ...pipeline import Generation
from ...server import Listener, RequestIds, Router, ServerTls, Share, Site
from ...services import Services
from ...sessions import Sessions
from .binding import Sockets
from .preparing import Prepared


class Listening:
    """What listens, with what all listeners share.

    listeners   by the name of the server
    tls         the certificates that are served, by the name of the server
    on_begin    functions that are called with the context of each request before its pipeline runs
    on_request  functions that are called with each request that is over, as the access log is
    """

    def __init__(self, services: Services, sessions: Sessions, share: Share | None) -> None:
        self.listeners: dict[str, Listener] = {}
        self.tls: Mapping[str, ServerTls] = {}
        self.on_begin: list[Callable[[Context], None]] = []
        self.on_request: list[OnRequest] = []
        self._services = services
        self._sessions = sessions
        self._share = share
        self._access = AccessLog(self.on_request)
        self._ids = RequestIds()
        sessions.on_end.append(self._access.session_ended)

    def serve(
        self, generation: Generation, prepared: Prepared, opened: Sockets, tasks: TaskGroup
    ) -> None:
        """From here on requests see this generation. Nothing waits in between.

        `opened` are the sockets of the servers that listen somewhere new; they do so in `tasks`.
        """
        changes, routers, self.tls = prepared
        before, self.listeners = self.listeners, {}
        for spec in generation.config.servers:
            site = self._site(spec, generation, routers[spec.name])
            if spec.name in changes.keeps:
                listener = before[changes.keeps[spec.name]]
                listener.serve_from_now_on(site)
            else:
                listener = self._open(opened[spec.name], site, tasks)
            self.listeners[spec.name] = listener
        for name in changes.closes:
            before[name].stop_accepting()

    def stop_accepting(self) -> None:
        """Accept no more connections. Those that are open go on."""
        for listener in self.listeners.values():
            listener.stop_accepting()

    def _open(self, sockets: list[socket.socket], site: Site, tasks: TaskGroup) -> Listener:
        listener = Listener(sockets, site, self._share)
        tasks.start_soon(listener.serve)
        return listener

    def _site(self, spec: ServerSpec, generation: Generation, router: Router) -> Site:
        form = spec.access_log_format
        access = FormattedAccessLog(form, self.on_request) if form else self._access
        return Site(
            *(spec, generation, self._services, self._sessions, access, self._ids),
            router=router,
            tls=self.tls.get(spec.name),
            on_begin=self.on_begin,
        )
