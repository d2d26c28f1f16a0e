"""Every metric that rater has: name, kind, help, labels, unit.  Nothing else counts anything.

Names follow the Prometheus conventions: `rater_`, a noun, the base unit, `_total` for what only grows.  Money is
in micro-units of the currency in the label (1,000,000 are one dollar): Prometheus keeps floats, and whole
numbers of micro-units stay exact up to nine billion.
"""

from enum import StrEnum

import msgspec

from rater.ops.metrics import labels
from rater.ops.metrics.labels import Label

#: Around the targets: 100 ms to a service state, 200 ms from publication to commit, 300 ms to a disconnect.
LATENCY_BUCKETS_S = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
)  # fmt: skip
STEP_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5)
RESTORE_BUCKETS_S = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
#: Around the 10 ms in which a switch is answered.
ANSWER_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 1.0)


class Kind(StrEnum):
    """Prometheus' kinds, as far as we use them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(msgspec.Struct, frozen=True):
    """One metric.  `buckets` are there for histograms, in seconds."""

    name: str
    kind: Kind
    help: str
    unit: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()


def _counter(name: str, unit: str, help: str, *labelled: Label) -> Metric:
    return Metric(name, Kind.COUNTER, help, unit, labelled)


def _gauge(name: str, unit: str, help: str, *labelled: Label) -> Metric:
    return Metric(name, Kind.GAUGE, help, unit, labelled)


def _histogram(name: str, help: str, buckets: tuple[float, ...]) -> Metric:
    return Metric(name, Kind.HISTOGRAM, help, "seconds", (), buckets)


RECORDS = _counter(
    "rater_records_total",
    "records",
    "Call records and commands that were consumed, by outcome; a conflicting duplicate is quarantined.",
    labels.OUTCOME,
)
REJECTED = _counter(
    "rater_rejected_records_total",
    "records",
    "Records and commands that went to the dead letters, by reason.",
    labels.REASON,
)
ANOMALIES = _counter(
    "rater_anomalous_calls_total",
    "calls",
    "Calls that were rated although a person should look at them, by what is odd.",
    labels.ANOMALY,
)
BILLED_MINUTES = _counter(
    "rater_billed_minutes_total",
    "minutes",
    "Billed minutes by the pocket they were taken from, and the plan whose pool covered them.",
    labels.POCKET,
    labels.PLAN,
)
DEBITED = _counter(
    "rater_debited_micros_total",
    "micros",
    "Money that left balances (kind reversal: came back), in micro-units.",
    labels.DEBIT_KIND,
    labels.CURRENCY,
)
CREDITED = _counter(
    "rater_credited_micros_total",
    "micros",
    "Money that was added to balances, in micro-units.",
    labels.CREDIT_SOURCE,
    labels.CURRENCY,
)
SPEND = _counter(
    "rater_spend_micros_total",
    "micros",
    "What calls cost, by the country that was called (ZZ: none known), in micro-units.",
    labels.COUNTRY,
    labels.CURRENCY,
)
OVERRUN = _counter(
    "rater_overrun_micros_total",
    "micros",
    "Money charged below zero: calls that went on after the credit was gone, in micro-units.",
    labels.CURRENCY,
)
UNFUNDED = _counter(
    "rater_unfunded_micros_total",
    "micros",
    "Price of calls that nobody had the right to spend credits on, in micro-units.",
    labels.CURRENCY,
)
CONSERVATION_DIFFERENCE = _gauge(
    "rater_conservation_difference_micros",
    "micros",
    "What balances differ from credits less debits, summed since the start, in micro-units: but for 0 a bug.",
)
SEQUENCE_BREAKS = _counter(
    "rater_sequence_breaks_total",
    "breaks",
    "Gaps or repetitions in a tenant's sequence on an output topic: any is a bug or lost data.",
    labels.TOPIC,
)
LATENCY = _histogram(
    "rater_latency_seconds",
    "From a switch's publication of a record to the commit of what it caused.",
    LATENCY_BUCKETS_S,
)
BATCH_SECONDS = _histogram(
    "rater_batch_seconds", "Applying the rules to one batch, without its commit.", STEP_BUCKETS_S
)
COMMIT_SECONDS = _histogram(
    "rater_commit_seconds", "Making one batch's outputs durable and visible.", STEP_BUCKETS_S
)
COMMITS = _counter("rater_commits_total", "commits", "Batches by how they ended.", labels.COMMIT_RESULT)
LAG_RECORDS = _gauge(
    "rater_consumer_lag_records",
    "records",
    "Records published and not yet committed.",
    labels.INPUT,
    labels.PARTITION,
)
LAG_SECONDS = _gauge(
    "rater_consumer_lag_seconds",
    "seconds",
    "Age of the oldest record that is not yet committed; 0 when there is none.",
    labels.INPUT,
    labels.PARTITION,
)
LAST_COMMIT = _gauge(
    "rater_last_commit_timestamp_seconds",
    "seconds",
    "When the partition's last batch was committed, or its rating began, in Unix time.",
    labels.PARTITION,
)
PARTITIONS = _gauge(
    "rater_partitions", "partitions", "Partitions that this worker owns, by state.", labels.PARTITION_STATE
)
REBALANCES = _counter("rater_rebalances_total", "rebalances", "Changes of this worker's partitions.")
RESTORE_SECONDS = _histogram(
    "rater_restore_seconds", "From acquiring a partition to its first record.", RESTORE_BUCKETS_S
)
USAGE_INDEX = _gauge(
    "rater_usage_index_entries",
    "entries",
    "Usage ids that are kept to recognise duplicates.",
    labels.PARTITION,
)
RECHARGES = _counter("rater_recharges_total", "recharges", "Auto-recharges by result.", labels.RECHARGE_RESULT)
RECHARGES_IN_FLIGHT = _gauge(
    "rater_recharges_in_flight", "recharges", "Recharges that were requested and not answered yet."
)
BRAKES_REACHED = _counter(
    "rater_brakes_reached_total",
    "windows",
    "Limits on spending that were reached, by the mode of the brake.",
    labels.BRAKE_MODE,
)
TENANTS = _gauge(
    "rater_tenants",
    "tenants",
    "Tenants with low (below the recharge trigger) or suspended (nothing left) credit, and closed ones with money.",
    labels.STANDING,
)
SETTINGS = _gauge(
    "rater_settings_number",
    "number",
    "A number made of the settings of agents: those that show different ones are set differently; 0: no agents.",
)
GATEWAY_ANSWERS = _counter(
    "rater_gateway_answers_total", "answers", "Answers of the payment gateway.", labels.GATEWAY_ANSWER
)
PAYMENT_WEBHOOKS = _counter(
    "rater_payment_webhooks_total", "webhooks", "Webhooks of the payment gateway by what was done.",
    labels.WEBHOOK_RESULT,
)  # fmt: skip
AUTHORIZATIONS = _counter(
    "rater_authorizations_total", "answers", "Answers to switches that asked whether a call may start.",
    labels.AUTHORIZATION_ANSWER,
)  # fmt: skip
AUTHORIZATION_SECONDS = _histogram(
    "rater_authorization_seconds", "Answering a switch that asked whether a call may start.", ANSWER_BUCKETS_S
)
RUNNING_CALLS = _gauge("rater_running_calls", "calls", "Calls that run now, by the events that switches send.")
CALL_EVENTS = _counter(
    "rater_call_events_total", "events", "Events of running calls that switches sent, by result.",
    labels.CALL_EVENT_RESULT,
)  # fmt: skip
DISCONNECTS = _counter(
    "rater_disconnects_total", "orders", "Orders to end a running call, repetitions included.",
    labels.DISCONNECT_REASON,
)  # fmt: skip
SWITCH_ORDERS = _counter(
    "rater_switch_orders_total", "orders",
    "Orders to end a call that were carried to a switch, by outcome (switch none: not certain which).",
    labels.SWITCH, labels.ORDER_RESULT,
)  # fmt: skip
SWITCH_ORDERS_WAITING = _gauge(
    "rater_switch_orders_waiting", "orders", "Orders to end a call that their switch has not confirmed yet.",
    labels.SWITCH,
)  # fmt: skip
SWITCH_RECORDS = _counter(
    "rater_switch_records_total", "records",
    "Call records that came, by the switch that they name (switch none: none of switches.yaml).",
    labels.SWITCH,
)  # fmt: skip
SWITCH_LAST_RECORD = _gauge(
    "rater_switch_last_record_timestamp_seconds", "seconds", "When a switch's last record came, in Unix time.",
    labels.SWITCH,
)  # fmt: skip
SWITCH_MISSING = _gauge(
    "rater_switch_missing_records", "records",
    "Numbers that are missing for five minutes among those that a switch gave its records.",
    labels.SWITCH,
)  # fmt: skip
NOTIFICATIONS = _counter(
    "rater_notifications_total", "messages", "E-mails and webhooks to people, by result.",
    labels.CHANNEL, labels.NOTIFICATION_RESULT,
)  # fmt: skip
NOTIFICATIONS_WAITING = _gauge(
    "rater_notifications_waiting", "messages", "E-mails and webhooks that this process has still to send.",
    labels.CHANNEL,
)  # fmt: skip
HTTP_REQUESTS = _counter(
    "rater_http_requests_total", "requests", "Requests to the HTTP server, by how they were answered.",
    labels.ROUTE, labels.HTTP_RESULT,
)  # fmt: skip
HTTP_RECORDS = _counter(
    "rater_http_records_total", "records", "Records that came by HTTP, by their outcome.",
    labels.ROUTE, labels.RECORD_RESULT,
)  # fmt: skip
HTTP_WAITING = _gauge("rater_http_waiting_records", "records", "Records that came by HTTP and are not stored yet.")
HTTP_STORED_SECONDS = _histogram(
    "rater_http_stored_seconds", "Storing what came by HTTP together: a commit, or all acknowledgements of Kafka.",
    STEP_BUCKETS_S,
)  # fmt: skip
REPLICA_LAG_RECORDS = _gauge(
    "rater_replica_lag_records", "records", "Records of the topics that are not in the replica yet."
)
REPLICA_LAG_SECONDS = _gauge(
    "rater_replica_lag_seconds", "seconds", "For how long the replica has not been as far as the topics; 0: it is."
)
UNREADABLE = _counter(
    "rater_unreadable_records_total",
    "records",
    "Records of our own topics that this program cannot read: a newer one wrote them.",
    labels.TOPIC,
)
CERTIFICATE_EXPIRY = _gauge(
    "rater_certificate_expiry_timestamp_seconds",
    "seconds",
    "When a certificate that this process uses ends, in Unix time.",
    labels.CERTIFICATE_USE,
)

#: The list.
METRICS = (
    RECORDS, REJECTED, ANOMALIES, BILLED_MINUTES, DEBITED, CREDITED, SPEND, OVERRUN, UNFUNDED,
    CONSERVATION_DIFFERENCE, SEQUENCE_BREAKS, LATENCY, BATCH_SECONDS, COMMIT_SECONDS, COMMITS, LAG_RECORDS,
    LAG_SECONDS, LAST_COMMIT, PARTITIONS, REBALANCES, RESTORE_SECONDS, USAGE_INDEX, RECHARGES,
    RECHARGES_IN_FLIGHT, BRAKES_REACHED, TENANTS, SETTINGS, GATEWAY_ANSWERS, PAYMENT_WEBHOOKS, AUTHORIZATIONS,
    AUTHORIZATION_SECONDS, RUNNING_CALLS, CALL_EVENTS, DISCONNECTS, SWITCH_ORDERS,
    SWITCH_ORDERS_WAITING, SWITCH_RECORDS, SWITCH_LAST_RECORD, SWITCH_MISSING, NOTIFICATIONS, NOTIFICATIONS_WAITING,
    HTTP_REQUESTS, HTTP_RECORDS, HTTP_WAITING, HTTP_STORED_SECONDS,
    REPLICA_LAG_RECORDS, REPLICA_LAG_SECONDS, UNREADABLE, CERTIFICATE_EXPIRY,
)  # fmt: skip
