"""What the admin interface answers, as text for people. Pure.

Paths, labels and reasons come from clients: what a terminal could take for a command is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ...operate.control import (
    PoolState,
    ReloadResult,
    SessionPage,
    SessionState,
    Status,
    UpgradeResult,
    WorkerReplaced,
)
from ..report import GREEN, RED, YELLOW, details, painted, printable, summary
from .tables import Column, table_lines
from .words import age, count, duration, size

_SESSIONS = (
    Column("ID"),
    Column("CLIENT", rank=1, least=12),
    Column("ROUTE", rank=3, least=8),
    Column("BACKEND", rank=5, least=14),
    Column("AGE", right=True, rank=2),
    Column("IN", right=True, rank=4),
    Column("OUT", right=True, rank=4),
    Column("HELD", right=True, rank=7),
    Column("RTT", right=True, rank=6),
    Column("LABELS", rank=8, least=10),
    Column("GENERATION", right=True, rank=9),
)


def sessions_text(
    page: SessionPage, width: int | None, rows: int | None = None, *, colour: bool
) -> str:
    """Sessions as a table, at most so many `rows`, and how many there are."""
    sessions, total = page["sessions"][:rows], page["total"]
    if not sessions:
        return "No open session"
    lines = table_lines(_SESSIONS, [_session_row(one) for one in sessions], width, colour=colour)
    closing = f"{count(total)} session{'' if total == 1 else 's'}"
    if len(sessions) < total:
        more = "" if rows is not None else "; --limit shows more"
        closing = f"{count(len(sessions))} of {closing}{more}"
    return "\n".join([*lines, closing])


def _session_row(session: SessionState) -> list[str]:
    return [
        printable(session["id"]),
        printable(session["client"]),
        printable(session["route"]),
        printable(session["backend"]),
        age(session["age"]),
        size(session["bytes_in"]),
        size(session["bytes_out"]),
        size(session["held"]),
        duration(session["client_rtt"]),
        _labels(session["labels"]),
        str(session["generation"]),
    ]


def _labels(labels: Mapping[str, str]) -> str:
    return printable(" ".join(f"{name}={value}" for name, value in sorted(labels.items())))


def session_text(session: SessionState, width: int | None, *, colour: bool) -> str:
    """One session, a line for each of its fields."""
    rows = [
        ("id", session["id"]),
        ("client", session["client"]),
        ("server", session["server"]),
        ("route", session["route"]),
        ("path", session["path"]),
        ("pipeline", session["pipeline"]),
        ("backend", session["backend"]),
        ("opened", f"{_time(session['opened'])}, {age(session['age'])} ago"),
        ("handshake", duration(session["handshake"])),
        ("in", _traffic(session["messages_in"], session["bytes_in"])),
        ("out", _traffic(session["messages_out"], session["bytes_out"])),
        ("held", size(session["held"])),
        ("RTT client", duration(session["client_rtt"])),
        ("RTT backend", duration(session["backend_rtt"])),
        ("generation", str(session["generation"])),
        ("labels", _labels(session["labels"])),
        ("worker", str(session["worker"] or "")),
    ]
    return details([(label, printable(text)) for label, text in rows], width, colour=colour)


def _traffic(messages: int, size_in_bytes: int) -> str:
    plural = "" if messages == 1 else "s"
    return f"{count(messages)} message{plural}, {size(size_in_bytes)}"


def _time(when: float) -> str:
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d %H:%M:%S} UTC"


_STATES = {"ready": GREEN, "up": GREEN, "starting": YELLOW, "draining": YELLOW, "down": RED}


def status_text(status: Status, now: float, width: int | None, *, colour: bool) -> str:
    """The gateway as a whole; `now` is by `time.time`."""
    state = status["state"]
    older = ", ".join(
        f"{one['generation']} with {summary(one['sessions'], 'session')}" for one in status["older"]
    )
    rows = [
        ("state", painted(printable(state), _STATES.get(state, RED), colour)),
        (
            "version",
            printable(f"easews {status['version']}, {status['backend']}, {status['relay']}"),
        ),
        ("process", f"{status['pid']:d}, for {age(now - status['started'])}"),
        ("generation", f"{status['generation']:d}"),
        ("older", older),
        ("sessions", count(status["sessions"])),
        ("draining", count(status["draining"]) if status["draining"] else ""),
        ("stayed behind", count(status["kept_behind"]) if status["kept_behind"] else ""),
        ("held", size(status["held"])),
        *(("listens", _listener(one)) for one in status["listeners"]),
    ]
    parts = [details(rows, width, colour=colour)]
    if status["workers"]:
        parts.append("\n".join(_workers(status, width, colour)))
    return "\n\n".join(parts)


def _listener(listener: Mapping[str, Any]) -> str:
    tls = " (TLS)" if listener["tls"] else ""
    return printable(f"{listener['server']} at {listener['address']}{tls}")


def _workers(status: Status, width: int | None, colour: bool) -> list[str]:
    columns = (
        Column("WORKER", right=True),
        Column("PID", right=True, rank=2),
        Column("STATE"),
        Column("SESSIONS", right=True),
        Column("RESTARTS", right=True, rank=1),
    )
    rows = [
        [
            str(one["number"]),
            str(one["pid"]),
            printable(one["state"]),
            count(one["sessions"]),
            str(one["restarts"]),
        ]
        for one in status["workers"]
    ]
    return table_lines(columns, rows, width, colour=colour)


_POOLS = (
    Column("PIPELINE", rank=3, least=8),
    Column("FILTER", rank=4, least=6),
    Column("POOL", right=True, rank=5),
    Column("SERVER", least=16),
    Column("STATE"),
    Column("SINCE", right=True, rank=5),
    Column("ACTIVE", right=True, rank=1),
    Column("WEIGHT", right=True, rank=6),
    Column("POLICY", rank=7, least=10),
    Column("ERROR", rank=2, least=12),
)


def pools_text(pools: Sequence[PoolState], now: float, width: int | None, *, colour: bool) -> str:
    """A row for each server; `now` is by `time.time`."""
    rows = [row for pool in pools for row in _pool_rows(pool, now)]
    if not rows:
        return "No pool has a server"
    return "\n".join(table_lines(_POOLS, rows, width, colour=colour))


def _pool_rows(pool: PoolState, now: float) -> Iterator[list[str]]:
    for server in pool["servers"]:
        since = server["since"]
        yield [
            pool["pipeline"],
            pool["filter"],
            str(pool["pool"]),
            printable(server["url"]),
            server["state"],
            "-" if since is None else age(now - since),
            count(server["active"]),
            f"{server['weight']:g}",
            pool["policy"],
            printable(server["error"] or "-"),
        ]


def reload_text(result: ReloadResult) -> str:
    """What has come of a reload, and what is different."""
    first = {
        "reloaded": f"reloaded: generation {result['generation']} is served",
        "unchanged": f"nothing is different: generation {result['generation']} is served on",
        "refused": f"the config is refused; generation {result['generation']} is served on",
    }[result["outcome"]]
    return printable_lines([first, *result["changes"], *result["problems"]])


def upgrade_text(result: UpgradeResult) -> str:
    """What has come of an upgrade, and where the sessions are."""
    if result["outcome"] == "refused":
        first = f"no new process has taken over; process {result['pid']} goes on"
        return printable_lines([first, *result["problems"]])
    lines = [f"process {result['pid']} has taken over {summary(result['moved'], 'session')}"]
    if result["kept_behind"]:
        kept = summary(result["kept_behind"], "session")
        lines.append(f"the old process drains {kept}")
    return "\n".join(lines)


def replaced_text(result: WorkerReplaced) -> str:
    """What has come of the replacement of a worker, and where its sessions are."""
    number, pid = result["worker"], result["pid"]
    if result["outcome"] == "refused":
        first = f"worker {number} is not replaced; process {pid} goes on"
        return printable_lines([first, *result["problems"]])
    moved = summary(result["moved"], "session")
    lines = [f"process {pid} serves as worker {number}, and has taken over {moved}"]
    if result["kept_behind"]:
        lines.append(f"the old process drains {summary(result['kept_behind'], 'session')}")
    return printable_lines([*lines, *result["problems"]])


def printable_lines(lines: Sequence[str]) -> str:
    """Lines, each of which stays one."""
    return "\n".join(map(printable, lines))


def frame_text(frame: Mapping[str, Any]) -> str:
    """A line for what a tap tells."""
    if "tapping" in frame:
        return printable(f"{frame['tapping']}: its frames ({frame['shows']})")
    if "lost" in frame:
        return f"({summary(frame['lost'], 'frame')} more than could be told)"
    if "ended" in frame:
        ended = frame["ended"]
        return printable(f"ended by {ended['by']}: {ended['code']} {ended['cause'] or ''}".rstrip())
    if "moved" in frame:
        return printable(f"{frame['moved']} has moved to a new process; tap it again")
    at = f"{datetime.fromtimestamp(frame['at'], UTC):%H:%M:%S.%f}"[:-3]
    marks = [
        *(["compressed"] if frame.get("compressed") else []),
        *([] if frame["fin"] else ["more follows"]),
        *([str(frame["code"])] if frame.get("code") else []),
    ]
    told = ", ".join([size(frame["size"]), *marks])
    shown = f"  {frame['payload']}" if frame.get("payload") else ""
    return printable(f"{at}  {frame['from']:7}  {frame['type']:12}  {told}{shown}")
