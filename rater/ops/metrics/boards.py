"""What a dashboard is made of: queries over the list of metrics, panels, rows."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from rater.ops.metrics.listed import Metric

#: Prometheus sums micro-units; people read dollars.
MAJOR = "/ 1e6"
#: As long as a rate needs at the resolution that is shown.
RATE = "[$__rate_interval]"


class Unit(StrEnum):
    """Grafana's names of units."""

    NUMBER = "short"
    PER_SECOND = "ops"
    SECONDS = "s"
    RATIO = "percentunit"
    MONEY = "none"


class View(StrEnum):
    """Grafana's names of kinds of panel."""

    STAT = "stat"
    LINES = "timeseries"
    BARS = "bargauge"


class Query(msgspec.Struct, frozen=True):
    """An expression and the name of its lines."""

    expr: str
    legend: str
    exemplars: bool = False
    instant: bool = False


class Panel(msgspec.Struct, frozen=True):
    """One panel.  `width` of 24; `bad_from` colours it red from this value."""

    title: str
    says: str
    queries: tuple[Query, ...]
    unit: Unit = Unit.NUMBER
    view: View = View.LINES
    width: int = 8
    bad_from: float | None = None


class Board(msgspec.Struct, frozen=True):
    """A dashboard: rows of panels under a heading."""

    uid: str
    title: str
    says: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    refresh: str
    since: str


def rate(metric: Metric, *by: str, where: str = "", times: str = "") -> Query:
    """A counter's rate a second, summed by labels; `times` turns it into another unit."""
    of = f"sum by ({', '.join(by)}) " if by else "sum"
    legend = " ".join(f"{{{{{name}}}}}" for name in by) or "all"
    return Query(f"{of}(rate({metric.name}{where}{RATE})){' ' + times if times else ''}", legend)


def increase(metric: Metric, *by: str, where: str = "", times: str = "", over: str = "$__range") -> Query:
    """What a counter gained, summed by labels, over the time shown or another."""
    of = f"sum by ({', '.join(by)}) " if by else "sum"
    legend = " ".join(f"{{{{{name}}}}}" for name in by) or "all"
    return Query(
        f"{of}(increase({metric.name}{where}[{over}])){' ' + times if times else ''}", legend, instant=True
    )


def quantiles(metric: Metric, *quantiles: str, name: str = "", exemplars: bool = False) -> tuple[Query, ...]:
    """Quantiles of a histogram, one line each."""
    return tuple(
        Query(
            f"histogram_quantile({quantile}, sum by (le) (rate({metric.name}_bucket{RATE})))",
            f"{name}p{quantile.removeprefix('0.').ljust(2, '0')}",
            exemplars,
        )
        for quantile in quantiles
    )


def stat(title: str, says: str, expr: str, *, unit: Unit = Unit.NUMBER, bad_from: float | None = None) -> Panel:
    """One number, large."""
    return Panel(title, says, (Query(expr, title),), unit, View.STAT, 4, bad_from)


def panel(title: str, says: str, queries: Sequence[Query], unit: Unit = Unit.NUMBER, width: int = 8) -> Panel:
    """Lines over time."""
    return Panel(title, says, tuple(queries), unit, View.LINES, width)
