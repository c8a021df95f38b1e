"""OpenMetrics text, as Prometheus would read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families


class Scrape:
    """The samples of a text."""

    def __init__(self, text: bytes) -> None:
        self.families: list[Any] = list(text_string_to_metric_families(text.decode()))
        self.samples = [sample for family in self.families for sample in family.samples]

    @property
    def names(self) -> set[str]:
        """The names of all samples, those included that there are none of at present."""
        suffixes = {
            "counter": ["_total"],
            "histogram": ["_bucket", "_count", "_sum"],
            "gaugehistogram": ["_bucket", "_gcount", "_gsum"],
            "info": ["_info"],
        }
        return {
            family.name + suffix
            for family in self.families
            for suffix in suffixes.get(family.type, [""])
        }

    def series(self, name: str, **labels: str) -> list[tuple[Mapping[str, str], float]]:
        """The samples of this name that have these labels."""
        return [
            (sample.labels, sample.value)
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def sum(self, name: str, **labels: str) -> float:
        """The sum of their values."""
        return sum(value for _, value in self.series(name, **labels))

    def classic(self) -> str:
        """The same in the format that came before OpenMetrics, which promtool reads."""

        class Families:
            collect = staticmethod(lambda: self.families)

        text: bytes = generate_latest(Families())  # type: ignore[arg-type, unused-ignore]
        return text.decode()
