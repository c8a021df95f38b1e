"""The texts of several processes as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from .catalogue import METERS, Merge
from .exposition import ended, text_of

_RULES: dict[str, Merge] = {meter.name: meter.merge for meter in METERS}
_Key = tuple[str, tuple[tuple[str, str], ...]]


def merged(texts: Sequence[bytes], numbers: Sequence[int] | None = None) -> bytes:
    """The OpenMetrics texts of workers as one, as `Meter.merge` has it for each metric.

    Most figures are added up, histograms bucket by bucket. Those of a process (CPU, memory,
    descriptors, generation) get the label ``worker``: the number of theirs, or 1, 2 … Where all
    workers should have the same (reloads, certificates) it is the largest. Metrics that the
    catalogue does not have are added up. ValueError when a text is not OpenMetrics.
    """
    families: dict[str, list[tuple[int, Metric]]] = {}
    for number, text in zip(numbers or range(1, len(texts) + 1), texts, strict=True):
        for family in text_string_to_metric_families(text.decode()):
            families.setdefault(family.name, []).append((number, family))
    return ended(text_of(_one(found)) for found in families.values())


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
