"""The texts of several processes as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from .catalogue import METERS, Merge
from .exposition import ended, text_of

_RULES: dict[str, Merge] = {meter.name: meter.merge for meter in METERS}
#: The kinds of what only grows: it stays in the sums when the process ends that has counted it.
_COUNTED = ("counter", "histogram")
_Key = tuple[str, tuple[tuple[str, str], ...]]


def merged(texts: Sequence[bytes], numbers: Sequence[int] | None = None) -> bytes:
    """The OpenMetrics texts of workers as one, as `Meter.merge` has it for each metric.

    Most figures are added up, histograms bucket by bucket. Those of a process (CPU, memory,
    descriptors, generation) get the label ``worker``: the number of theirs, or 1, 2 … Where all
    workers should have the same (reloads, certificates) it is the largest. Metrics that the
    catalogue does not have are added up. ValueError when a text is not OpenMetrics.
    """
    numbers = numbers or range(1, len(texts) + 1)
    return joined(zip(numbers, map(parsed, texts), strict=True))


def parsed(text: bytes) -> Iterable[Metric]:
    """The metrics of a text. ValueError when it is not OpenMetrics."""
    metrics: Iterable[Metric] = text_string_to_metric_families(text.decode())
    return metrics


def joined(processes: Iterable[tuple[int, Iterable[Metric]]]) -> bytes:
    """As `merged`, of processes each with its number and its metrics."""
    families: dict[str, list[tuple[int, Metric]]] = {}
    for number, metrics in processes:
        for metric in metrics:
            families.setdefault(metric.name, []).append((number, metric))
    return ended(text_of(_one(found)) for found in families.values())


def counted(metrics: Iterable[Metric]) -> Iterable[Metric]:
    """Those that only grow, and are added up."""
    return (it for it in metrics if it.type in _COUNTED and _RULES.get(it.name, "sum") == "sum")


def _one(found: Sequence[tuple[int, Metric]]) -> Metric:
    """One metric of several processes."""
    first = found[0][1]
    one = Metric(first.name, first.documentation, first.type, first.unit)
    rule = _RULES.get(first.name, "sum")
    if rule == "worker":
        for number, metric in found:
            for sample in metric.samples:
                labels = {**sample.labels, "worker": str(number)}
                one.add_sample(sample.name, labels, sample.value)
    else:
        _combine(one, (metric for _, metric in found), max if rule == "max" else sum)
    return one


def _combine(
    one: Metric, metrics: Iterable[Metric], combined: Callable[[list[float]], float]
) -> None:
    values: dict[_Key, list[float]] = {}
    for metric in metrics:
        for sample in metric.samples:
            # In the order in which they came: buckets have to stay in theirs.
            values.setdefault((sample.name, tuple(sample.labels.items())), []).append(sample.value)
    for (name, labels), several in values.items():
        one.add_sample(name, dict(labels), combined(several))
