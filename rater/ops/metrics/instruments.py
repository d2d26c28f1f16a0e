"""Prometheus' instruments, made from the list of metrics."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import product
from math import prod
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from rater.ops.metrics.listed import Kind, Metric

#: Series that start at 0 with their process, so that the first event is an increase that an alert sees.
_SERIES_AT_START_MAX = 64

_A = TypeVar("_A")
_B = TypeVar("_B")
_Instrument = TypeVar("_Instrument", Counter, Gauge, Histogram)


def known(value: str, values: frozenset[str], other: str) -> str:
    """The value, if the label's closed list has it."""
    return value if value in values else other


def flat(sums: Mapping[tuple[_A, _B], int]) -> Iterable[tuple[_A, _B, int]]:
    """Sums by two labels, as triples."""
    return ((first, second, sum) for (first, second), sum in sums.items())


class Instruments:
    """The instruments of some metrics in one registry; those who count are made of it."""

    def __init__(self, metrics: Iterable[Metric], registry: CollectorRegistry) -> None:
        self._made = {metric.name: _make(metric, registry) for metric in metrics}

    def _counter(self, metric: Metric, *labels: str) -> Counter:
        """The series of a counter with these labels."""
        return _series(self._made[metric.name], labels, Counter)

    def _gauge(self, metric: Metric, *labels: str) -> Gauge:
        """The series of a gauge with these labels."""
        return _series(self._made[metric.name], labels, Gauge)

    def _histogram(self, metric: Metric) -> Histogram:
        """A histogram; none has labels."""
        return _series(self._made[metric.name], (), Histogram)

    def _remove(self, metric: Metric, *labels: str) -> None:
        """End a series, if there is one."""
        with suppress(KeyError):
            self._made[metric.name].remove(*labels)


def _series(made: MetricWrapperBase, labels: tuple[str, ...], kind: type[_Instrument]) -> _Instrument:
    found = made.labels(*map(str, labels)) if labels else made
    assert isinstance(found, kind), made
    return found


def _make(metric: Metric, registry: CollectorRegistry) -> MetricWrapperBase:
    """A metric in a registry; series of short closed lists exist from the start."""
    names = [label.name for label in metric.labels]
    made: MetricWrapperBase
    match metric.kind:
        case Kind.COUNTER:
            made = Counter(metric.name, metric.help, names, registry=registry)
        case Kind.GAUGE:
            made = Gauge(metric.name, metric.help, names, registry=registry)
        case Kind.HISTOGRAM:
            made = Histogram(metric.name, metric.help, names, buckets=metric.buckets, registry=registry)
    listed_series = prod(len(label.values) for label in metric.labels)
    if names and listed_series <= _SERIES_AT_START_MAX and all(label.listed for label in metric.labels):
        for values in product(*(label.values for label in metric.labels)):
            made.labels(*values)
    return made
