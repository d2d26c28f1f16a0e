"""The dashboard of the night shift: is money flowing, how late is it, what is broken.

Every expression is built from the list of metrics, so a name cannot be mistyped.
"""

from rater.ops.metrics import listed as m
from rater.ops.metrics.boards import (
    MAJOR,
    RATE,
    Board,
    Query,
    Unit,
    panel,
    quantiles,
    rate,
    stat,
)

_REJECTED = f'sum(rate({m.RECORDS.name}{{outcome="rejected"}}[10m])) / sum(rate({m.RECORDS.name}[10m]))'
_AGE = f"time() - max by (partition) ({m.LAST_COMMIT.name})"
_SETTINGS = f'count(count_values("number", {m.SETTINGS.name} != 0))'
_LAGGING = f"max by (partition) ({m.LAG_RECORDS.name}) > 0"

_AT_A_GLANCE = (
    stat("Rated", "Records consumed, each second.", f"sum(rate({m.RECORDS.name}{RATE}))", unit=Unit.PER_SECOND),
    stat(
        "Behind", "Age of the oldest waiting record.", f"max({m.LAG_SECONDS.name})", unit=Unit.SECONDS, bad_from=60
    ),
    stat("Rejected", "Share of ten minutes; 0.1 % alerts.", _REJECTED, unit=Unit.RATIO, bad_from=0.001),
    stat("Money amiss", "Micro-units that do not add up: 0.", f"sum({m.CONSERVATION_DIFFERENCE.name})", bad_from=1),
    stat("Sequence breaks", "Must be 0.", f"sum({m.SEQUENCE_BREAKS.name})", bad_from=1),
    stat(
        "Stopped",
        "Partitions that a person must look at.",
        f'sum({m.PARTITIONS.name}{{state="stopped"}})',
        bad_from=1,
    ),
)
_FLOWING = (
    panel("Records by outcome", "Records by their outcome.", [rate(m.RECORDS, "outcome")], Unit.PER_SECOND),
    panel(
        "Debited each minute",
        "Money that left balances, in major units; reversals came back.",
        [rate(m.DEBITED, "kind", "currency", times="* 60 " + MAJOR)],
        Unit.MONEY,
    ),
    panel(
        "Credited each minute",
        "Money that was added, in major units.",
        [rate(m.CREDITED, "source", "currency", times="* 60 " + MAJOR)],
        Unit.MONEY,
    ),
)
_LATE = (
    panel(
        "Latency",
        "From publication to commit; the objective is 99 % within 200 ms.  Diamonds are calls to look at.",
        quantiles(m.LATENCY, "0.5", "0.95", "0.99", exemplars=True),
        Unit.SECONDS,
    ),
    panel(
        "Lag in records",
        "Waiting, by input and partition.",
        [Query(f"sum by (input, partition) ({m.LAG_RECORDS.name}) > 0", "{{input}} {{partition}}")],
    ),
    panel(
        "Lag in seconds",
        "Age of the oldest waiting record, by partition.",
        [Query(f"max by (input, partition) ({m.LAG_SECONDS.name}) > 0", "{{input}} {{partition}}")],
        Unit.SECONDS,
    ),
    panel(
        "Batch and commit",
        "Rules, then durability.",
        [
            *quantiles(m.BATCH_SECONDS, "0.5", "0.99", name="batch "),
            *quantiles(m.COMMIT_SECONDS, "0.5", "0.99", name="commit "),
        ],
        Unit.SECONDS,
    ),
    panel(
        "Since the last commit",
        "Of partitions with records waiting.",
        [Query(f"{_AGE} and {_LAGGING}", "{{partition}}")],
        Unit.SECONDS,
    ),
    panel("Batches by end", "Aborted ones are tried again.", [rate(m.COMMITS, "result")], Unit.PER_SECOND),
)
_BROKEN = (
    panel("Rejected by reason", "See `rater dlq ls`.", [rate(m.REJECTED, "reason")], Unit.PER_SECOND),
    panel("Partitions", "By state.", [Query(f"sum by (state) ({m.PARTITIONS.name})", "{{state}}")]),
    panel(
        "Rebalances and restores",
        "Changes in ten minutes; the slowest restores.",
        [
            Query(f"sum(increase({m.REBALANCES.name}[10m]))", "rebalances"),
            Query(
                f"histogram_quantile(0.99, sum by (le) (rate({m.RESTORE_SECONDS.name}_bucket[10m])))", "restore s"
            ),
        ],
    ),
    panel("Usage ids kept", "To recognise duplicates.", [Query(f"sum({m.USAGE_INDEX.name})", "entries")]),
    panel("Recharges", "By result.", [rate(m.RECHARGES, "result", times="* 60")]),
    panel("Settings of agents", "More than 1: agents are set differently.", [Query(_SETTINGS, "different")]),
    panel("Payment gateway", "Its answers, each minute.", [rate(m.GATEWAY_ANSWERS, "answer", times="* 60")]),
    panel("Payment webhooks", "What was done with them.", [rate(m.PAYMENT_WEBHOOKS, "result", times="* 60")]),
    panel("Answers to switches", "May this call start?", [rate(m.AUTHORIZATIONS, "answer")], Unit.PER_SECOND),
    panel(
        "Time to answer a switch",
        "The target is 10 ms.",
        quantiles(m.AUTHORIZATION_SECONDS, "0.5", "0.99"),
        Unit.SECONDS,
    ),
    panel(
        "Running calls",
        "Running calls, by their events, and orders to end one, each minute: credit ran out while it ran.",
        [
            Query(f"max({m.RUNNING_CALLS.name})", "running"),
            rate(m.DISCONNECTS, "reason", times="* 60"),
            rate(m.CALL_EVENTS, "result", times="* 60"),
        ],
    ),
    panel(
        "Orders to switches",
        "To end calls, by switch and outcome, each minute; and how many their switch has not confirmed yet.",
        [
            rate(m.SWITCH_ORDERS, "switch", "result", times="* 60"),
            Query(f"sum by (switch) ({m.SWITCH_ORDERS_WAITING.name})", "waiting {{switch}}"),
        ],
    ),
    panel(
        "Records of switches",
        "Each minute, by the switch that they name, and numbers that are missing.",
        [
            Query(f"60 * max by (switch) (rate({m.SWITCH_RECORDS.name}[$__rate_interval]))", "{{switch}}"),
            Query(f"max by (switch) ({m.SWITCH_MISSING.name})", "missing {{switch}}"),
        ],
    ),
    panel(
        "Last record of a switch",
        "How long ago it came.",
        [Query(f"time() - max by (switch) ({m.SWITCH_LAST_RECORD.name})", "{{switch}}")],
        Unit.SECONDS,
    ),
    panel(
        "Requests over HTTP",
        "To `rater serve`, by page and answer; busy and limited ones are sent again by the switch.",
        [rate(m.HTTP_REQUESTS, "route", "result")],
        Unit.PER_SECOND,
    ),
    panel(
        "Records over HTTP",
        "Their outcomes, and how many wait to be stored.",
        [rate(m.HTTP_RECORDS, "route", "result"), Query(f"sum({m.HTTP_WAITING.name})", "waiting")],
    ),
    panel(
        "Time to store over HTTP",
        "One commit, or all acknowledgements of Kafka.",
        quantiles(m.HTTP_STORED_SECONDS, "0.5", "0.99"),
        Unit.SECONDS,
    ),
    panel(
        "Replica behind Kafka",
        "Of `rater serve --replica`: records that are not in its file yet, and for how long it lacks some.",
        [
            Query(f"max({m.REPLICA_LAG_RECORDS.name})", "records"),
            Query(f"max({m.REPLICA_LAG_SECONDS.name})", "seconds"),
        ],
    ),
    panel(
        "Messages to people",
        "E-mails and webhooks, each minute.",
        [
            rate(m.NOTIFICATIONS, "channel", "result", times="* 60"),
            Query(f"sum by (channel) ({m.NOTIFICATIONS_WAITING.name})", "{{channel}} waiting"),
        ],
    ),
    panel(
        "Unreadable records",
        "Of our own topics, written by a newer rater; by topic.",
        [Query(f"sum by (topic) (increase({m.UNREADABLE.name}[1h])) > 0", "{{topic}}")],
    ),
    panel(
        "Below zero",
        "Overrun each minute, in major units: suspensions that came late.",
        [rate(m.OVERRUN, "currency", times="* 60 " + MAJOR)],
        Unit.MONEY,
    ),
    panel(
        "Certificates",
        "Time left.",
        [Query(f"min by (use) ({m.CERTIFICATE_EXPIRY.name} - time())", "{{use}}")],
        Unit.SECONDS,
    ),
)

NIGHT_SHIFT = Board(
    "rater-night-shift",
    "rater: night shift",
    "Is money flowing, how late is it, what is broken.  Every alert links to its runbook.",
    (
        ("At a glance", _AT_A_GLANCE),
        ("Is money flowing?", _FLOWING),
        ("How late is it?", _LATE),
        ("What is broken?", _BROKEN),
    ),
    "10s",
    "now-1h",
)
