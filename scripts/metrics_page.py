"""The page on metrics, from the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from easews.observe.metrics.catalogue import METERS, Meter
from easews.observe.metrics.histogram import LAGS, LENGTHS, WAITS
from easews.observe.metrics.requests import CAUSES
from easews.observe.metrics.ways import MOST_GONE
from easews.operate.control import State as GatewayState
from easews.upstream import State

BEGINNING = """\
# Metrics

What `/metrics` of the admin listener answers, in the OpenMetrics format.
[Monitor easews](../how-to/monitor.md) has the configuration of Prometheus, a dashboard and alerts.
Counters begin at 0 when the process starts, and go on through reloads. Nothing is counted per
message: a scrape reads what each session keeps anyway.

| metric | kind | labels | several processes | meaning |
|---|---|---|---|---|
"""
_CAUSES = ", ".join(f"`{cause}` ({status})" for status, cause in CAUSES.items())


def _listed(words: object) -> str:
    return ", ".join(f"`{word}`" for word in get_args(words))


LABELS = (
    ("`server`", "the name of an `HTTPServer`"),
    (
        "`route`",
        "the `path`, `pathPrefix` or `pathRegexp` of the config; empty for a request that none"
        " takes",
    ),
    (
        "`pipeline`, `filter`",
        "names in the config; the `filter` of a refusal is empty when the engine has refused",
    ),
    (
        "`pool`, `backend`",
        "which of the filter's pools, from 0; the URL of a server, as DNS has it now",
    ),
    ("`code`", "1000 to 1015; `3xxx` and `4xxx` for codes of applications; `other`"),
    ("`by`", "who closed first: `client`, `backend` or `proxy`"),
    ("`sender`, `side`", "`client` or `backend`"),
    (
        "`status`",
        "a registered status, or 499 (the client left), 0 (no answer); others as `5xx`",
    ),
    ("`kind`", "`handshake` for a request that asks for another protocol, `request`"),
    ("`cause`", f"the result of a filter, or what the status means: {_CAUSES}, `other`"),
    (
        "`state`",
        f"of a server {_listed(State)}; of the gateway {_listed(GatewayState)}",
    ),
    (
        "`outcome`",
        "of a reload `reloaded`, `unchanged` or `refused`; of a TLS handshake `agreed` or `failed`",
    ),
    ("`name`", "the first name in a certificate"),
)
_MERGES = {"sum": "added up", "max": "the largest", "worker": "each, with `worker`"}
_SUFFIXES = {"counter": "_total", "info": "_info"}


def metrics_page() -> str:
    """The page."""
    return BEGINNING + "".join(map(_row, METERS)) + "\n" + "\n".join(_rest())


def _row(meter: Meter) -> str:
    labels = ", ".join(f"`{label}`" for label in meter.labels)
    name = meter.name + _SUFFIXES.get(meter.kind, "")
    return f"| `{name}` | {meter.kind} | {labels} | {_MERGES[meter.merge]} | {meter.help} |\n"


def _rest() -> Iterator[str]:
    labels = "\n".join(f"| {label} | {values} |" for label, values in LABELS)
    yield f"""\
## Labels

No client and no backend can make a label: each value is a name in the config, the URL of a server,
or one of a fixed list. So a config bounds the number of series.

| label | values |
|---|---|
{labels}

After reloads at most {MOST_GONE} routes are kept that no config has any more.

## Histograms

| metrics | upper bounds in seconds |
|---|---|
| durations of handshakes and requests, ping | {_bounds(WAITS)} |
| duration of sessions | {_bounds(LENGTHS)} |
| lag of the event loop | {_bounds(LAGS)} |

The times of pings are a gauge histogram: it shows the open sessions as they are, so ask for
quantiles without `rate`.

## Several processes

With several workers a scrape has the figures of all. Most are added up: the state of a server is
then the number of workers that see it so. Where all should have the same, it is the largest. What
belongs to a process has its number as `worker`. What a worker has counted stays in the sums after
its end, up to the last scrape before that.
"""


def _bounds(bounds: tuple[float, ...]) -> str:
    return ", ".join(f"{bound:g}" for bound in bounds)
