"""The metrics of a list as they are made in one registry, and what counts in them."""

from collections.abc import Iterable
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rater.ops.metrics.instruments import make, series
from rater.ops.metrics.listed import Metric


class Made:
    """Metrics by their names; a series begins when it is first asked for."""

    def __init__(self, registry: CollectorRegistry, metrics: Iterable[Metric]) -> None:
        self.registry = registry
        self._made = {metric.name: make(metric, registry) for metric in metrics}

    def _counter(self, metric: Metric, *labels: str) -> Counter:
        return series(self._made[metric.name], labels, Counter)

    def _gauge(self, metric: Metric, *labels: str) -> Gauge:
        return series(self._made[metric.name], labels, Gauge)

    def _histogram(self, metric: Metric) -> Histogram:
        return series(self._made[metric.name], (), Histogram)

    def _remove(self, metric: Metric, *labels: str) -> None:
        with suppress(KeyError):  # it never had this series
            self._made[metric.name].remove(*labels)
