"""The dashboard of the business: minutes and money, by plan and country, recharges, tenants near zero.

Every expression is built from the list of metrics, so a name cannot be mistyped.
"""

from rater.ops.metrics import listed as m
from rater.ops.metrics.boards import (
    MAJOR,
    RATE,
    Board,
    Panel,
    Query,
    Unit,
    View,
    increase,
    panel,
    rate,
    stat,
)

_MONEY = (
    stat("Tenants low", "Below the recharge trigger.", f'sum({m.TENANTS.name}{{standing="low"}})'),
    stat("Tenants suspended", "Nothing left.", f'sum({m.TENANTS.name}{{standing="suspended"}})', bad_from=1),
    stat("Recharges in flight", "Requested, not answered.", f"sum({m.RECHARGES_IN_FLIGHT.name})"),
    Panel(
        "Debited", "In the time shown.", (increase(m.DEBITED, "kind", "currency", times=MAJOR),), Unit.MONEY,
        View.STAT, 6,
    ),
    Panel(
        "Credited", "In the time shown.", (increase(m.CREDITED, "source", "currency", times=MAJOR),), Unit.MONEY,
        View.STAT, 6,
    ),
)  # fmt: skip
_WHERE = (
    Panel(
        "Minutes by pool",
        "Bundled minutes that calls took in the time shown, by plan.",
        (increase(m.BILLED_MINUTES, "plan", where='{pocket="pool"}'),),
        view=View.BARS,
        width=12,
    ),
    Panel(
        "Spend by destination country",
        "The fifteen largest in the time shown, in major units.",
        (
            Query(
                f"topk(15, sum by (country, currency) (increase({m.SPEND.name}[$__range])) {MAJOR})",
                "{{country}} {{currency}}",
                instant=True,
            ),
        ),
        Unit.MONEY,
        View.BARS,
        12,
    ),
    panel("Minutes by pocket", "Each minute.", [rate(m.BILLED_MINUTES, "pocket", times="* 60")], width=12),
    panel(
        "Spend by country over time",
        "The ten largest, each minute, in major units.",
        [
            Query(
                f"topk(10, sum by (country, currency) (rate({m.SPEND.name}{RATE})) * 60 {MAJOR})",
                "{{country}} {{currency}}",
            )
        ],
        Unit.MONEY,
        12,
    ),
)
_RECHARGES = (
    panel(
        "Recharges",
        "By result, each hour.",
        [Query(f"sum by (result) (increase({m.RECHARGES.name}[1h]))", "{{result}}")],
    ),
    panel(
        "Tenants near zero",
        "Low, suspended, and closed ones with money.",
        [Query(f"sum by (standing) ({m.TENANTS.name})", "{{standing}}")],
    ),
    panel(
        "Money not collected",
        "Each hour, in major units: charged below zero, and priced with nobody to pay.",
        [
            Query(f"sum by (currency) (increase({m.OVERRUN.name}[1h])) {MAJOR}", "overrun {{currency}}"),
            Query(f"sum by (currency) (increase({m.UNFUNDED.name}[1h])) {MAJOR}", "unfunded {{currency}}"),
        ],
        Unit.MONEY,
    ),
    panel(
        "Calls to look at",
        "Rated, but odd: each hour.",
        [Query(f"sum by (anomaly) (increase({m.ANOMALIES.name}[1h]))", "{{anomaly}}")],
        width=12,
    ),
    panel(
        "Limits on spending",
        "Reached, each hour, by the mode of the brake.",
        [Query(f"sum by (mode) (increase({m.BRAKES_REACHED.name}[1h]))", "{{mode}}")],
        width=12,
    ),
)

BUSINESS = Board(
    "rater-business",
    "rater: business",
    "Minutes by pool, spend by destination country, recharges, tenants near zero.",
    (("Money", _MONEY), ("Where minutes and money go", _WHERE), ("Recharges and tenants", _RECHARGES)),
    "1m",
    "now-24h",
)
