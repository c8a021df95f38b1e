"""The figures as OpenMetrics text.

A scrape of many routes is thousands of lines, so the event loop gets its turn between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from anyio.lowlevel import checkpoint
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.utils import floatToGoString

from .catalogue import METERS, Figures, Meter, Row
from .histogram import Histogram

#: The Content-Type of the text.
CONTENT_TYPE: str = CONTENT_TYPE_LATEST
#: How many rows are written in one go; a histogram has some 15 lines.
ROWS_PER_TURN = 20
_END = "# EOF\n"
_SUFFIXES = {"counter": "_total", "info": "_info"}


class _One:
    """Has these metrics to collect."""

    def __init__(self, *metrics: Metric) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def text_of(*metrics: Metric) -> str:
    """The metrics as OpenMetrics text, without its last line."""
    text: bytes = generate_latest(_One(*metrics))
    return text.decode().removesuffix(_END)


def ended(pieces: Iterable[str]) -> bytes:
    """The pieces as one text, with its last line."""
    return ("".join(pieces) + _END).encode()


async def exposed(figures: Iterable[Figures]) -> bytes:
    """The figures as OpenMetrics text."""
    pieces: list[str] = []
    for meter, rows in figures:
        left = iter(rows)
        pieces.append(text_of(_metric(meter, [])))
        while batch := list(islice(left, ROWS_PER_TURN)):
            lines = text_of(_metric(meter, batch)).splitlines(keepends=True)
            pieces += [line for line in lines if not line.startswith("#")]
            await checkpoint()
    return ended(pieces)


def _metric(meter: Meter, rows: Iterable[Row]) -> Metric:
    metric = Metric(meter.name, meter.help, meter.kind, meter.unit)
    for labels, figure in rows:
        named = dict(zip(meter.labels, labels, strict=True))
        if isinstance(figure, Histogram):
            _add_histogram(metric, named, figure)
        else:
            metric.add_sample(meter.name + _SUFFIXES.get(meter.kind, ""), named, figure)
    return metric


def _add_histogram(metric: Metric, labels: dict[str, str], figure: Histogram) -> None:
    g, count = ("g" if metric.type == "gaugehistogram" else ""), 0
    for bound, count in figure.cumulated():
        metric.add_sample(f"{metric.name}_bucket", {**labels, "le": floatToGoString(bound)}, count)
    metric.add_sample(f"{metric.name}_{g}count", labels, count)
    metric.add_sample(f"{metric.name}_{g}sum", labels, figure.total)


def process_figures() -> Iterator[Figures]:
    """CPU time, memory and descriptors of this process, where the system tells of them."""
    meters = {meter.name: meter for meter in METERS}
    for metric in ProcessCollector(namespace="easews", registry=None).collect():
        if metric.name in meters:
            yield meters[metric.name], [((), sample.value) for sample in metric.samples]
