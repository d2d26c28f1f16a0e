"""The balances of the month as a picture.

It draws the points it is given.
"""

from datetime import datetime
from pathlib import Path

import msgspec

from rater.files.extras import needed


class Curve(msgspec.Struct, frozen=True):
    """A tenant's balance over time in micro-units, and the instants of recharges and suspensions."""

    name: str
    points: list[tuple[datetime, int]]
    recharged: list[datetime]
    suspended: list[datetime]


def draw(curves: list[Curve], currency: str, path: Path) -> None:
    """One panel for each tenant, as PNG; MissingExtraError without the extra rater[plots]."""
    with needed("plots", str(path)):
        from matplotlib import dates, pyplot  # noqa: PLC0415 - its library is an extra
    pyplot.switch_backend("Agg")
    figure, panels = pyplot.subplots(len(curves), 1, sharex=True, figsize=(10, 2.6 * len(curves)), squeeze=False)
    for curve, panel in zip(curves, panels[:, 0], strict=True):
        times = [at for at, _ in curve.points]
        panel.step(times, [balance / 1_000_000 for _, balance in curve.points], where="post", linewidth=1.2)
        panel.axhline(0, color="black", linewidth=0.6)
        for at in curve.recharged:
            panel.axvline(at, color="tab:green", linewidth=0.8, alpha=0.6)
        for at in curve.suspended:
            panel.axvline(at, color="tab:red", linewidth=1.2)
        panel.set_title(curve.name, loc="left", fontsize=10)
        panel.set_ylabel(currency)
        panel.grid(visible=True, alpha=0.25)
    panels[-1, 0].xaxis.set_major_formatter(dates.DateFormatter("%d %b", tz="UTC"))  # type: ignore[no-untyped-call]  # not typed there
    figure.suptitle("Balance over the month (green: recharge succeeded, red: credits suspended)", fontsize=11)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
