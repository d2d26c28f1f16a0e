"""What the rest of rater calls to count something: one method for each metric of the list, with typed labels.

Callers give durations and instants.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import product

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import disable_created_metrics

from rater.core import Account, DisconnectReason, Outcome
from rater.engine.batch import Batch
from rater.ops.metrics import listed
from rater.ops.metrics.books import Books, Findings
from rater.ops.metrics.instruments import Instruments, flat, known
from rater.ops.metrics.labels import (
    COUNTRY,
    CURRENCY,
    NO_COUNTRY,
    NO_CURRENCY,
    NO_PLAN,
    NO_SWITCH,
    PARTITIONS_MAX,
    PLAN,
    AuthorizationAnswer,
    CallEventResult,
    CertificateUse,
    Channel,
    CommitResult,
    CreditSource,
    GatewayAnswer,
    HttpResult,
    Input,
    NotificationResult,
    OrderResult,
    PartitionState,
    RecordResult,
    Route,
    Standing,
    WebhookResult,
)
from rater.ops.metrics.latency import BatchHistogram
from rater.ops.metrics.tally import Tally, tally

_CURRENCIES, _COUNTRIES, _PLANS = frozenset(CURRENCY.values), frozenset(COUNTRY.values), frozenset(PLAN.values)

# When a series was made is one more series for each, and no dashboard asks for it.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's own gap


class Metrics(Instruments):
    """Every metric of the list, in one registry; a process has one, a test makes its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._books = Books()
        #: Currencies of the accounts that were seen.
        self._currencies: set[str] = set()
        self._latency = BatchHistogram(listed.LATENCY.name, listed.LATENCY.help, listed.LATENCY.buckets)
        registry.register(self._latency)
        super().__init__((metric for metric in listed.METRICS if metric is not listed.LATENCY), registry)

    # ---- money and records: the rating task ----

    def observe_batch(self, batch: Batch, partition: int = 0, sums: Tally | None = None) -> Findings:
        """Count a batch that was committed, and audit it against the partition's books.

        `sums` are those of all its outputs, where they were not kept.
        """
        self._begin_currencies(batch.state.accounts.values())
        sums = tally(batch.outputs) if sums is None else sums
        for outcome, records in batch.counts.items():
            self.records(outcome, records)
        self._add_sums(sums)
        found = self._books.check(partition, batch.state.accounts.values(), sums)
        if found.difference_micros:
            self._gauge(listed.CONSERVATION_DIFFERENCE).inc(found.difference_micros)
        for topic, breaks in found.breaks.items():
            self.sequence_breaks(topic, breaks)
        self._show_tenants()
        return found

    def records(self, outcome: Outcome, records: int = 1) -> None:
        """Records that had this outcome."""
        self._counter(listed.RECORDS, outcome).inc(records)

    def sequence_breaks(self, topic: str, breaks: int = 1) -> None:
        """Gaps or repetitions that a reader of an output topic found."""
        self._counter(listed.SEQUENCE_BREAKS, topic).inc(breaks)

    def batch_seconds(self, seconds: float) -> None:
        """How long the rules took for one batch."""
        self._histogram(listed.BATCH_SECONDS).observe(seconds)

    def commit(self, result: CommitResult, seconds: float | None = None) -> None:
        """How a batch ended, and how long making it durable took where it was."""
        self._counter(listed.COMMITS, result).inc()
        if seconds is not None:
            self._histogram(listed.COMMIT_SECONDS).observe(seconds)

    def latencies(self, seconds: Sequence[float], slowest: str | None = None) -> None:
        """From publication to commit, for each record of a batch; `slowest` is the usage id of the longest."""
        self._latency.observe(seconds, slowest)

    # ---- partitions: the worker ----

    def restored(self, partition: int, accounts: Iterable[Account], seconds: float, at: datetime) -> None:
        """A partition is ours: its accounts as they stand, and how long it took to restore them."""
        self.open_books(accounts, partition)
        self._histogram(listed.RESTORE_SECONDS).observe(seconds)
        self.committed_at(partition, at)

    def open_books(self, accounts: Iterable[Account], partition: int = 0) -> None:
        """Begin with these accounts; the embedded rater has nothing to restore."""
        all_accounts = list(accounts)
        self._books.restore(partition, all_accounts)
        self._begin_currencies(all_accounts)
        self._show_tenants()

    def forget_partition(self, partition: int) -> None:
        """A partition is no longer ours: its series end here."""
        self._books.forget(partition)
        for metric in (listed.LAST_COMMIT, listed.USAGE_INDEX):
            self._remove(metric, str(partition))
        for metric, input in product((listed.LAG_RECORDS, listed.LAG_SECONDS), Input):
            self._remove(metric, input, str(partition))
        self._show_tenants()

    def lag(self, input: Input, partition: int, records: int, seconds: float) -> None:
        """Unrated records, and the age of the oldest (0 when there is none)."""
        assert partition < PARTITIONS_MAX, partition
        self._gauge(listed.LAG_RECORDS, input, str(partition)).set(records)
        self._gauge(listed.LAG_SECONDS, input, str(partition)).set(seconds)

    def committed_at(self, partition: int, at: datetime) -> None:
        """When a partition's last batch was committed, or its rating began."""
        self._gauge(listed.LAST_COMMIT, str(partition)).set(at.timestamp())

    def partitions(self, states: Mapping[PartitionState, int]) -> None:
        """How many partitions are in each state; a state that is not named has none."""
        for state in PartitionState:
            self._gauge(listed.PARTITIONS, state).set(states.get(state, 0))

    def rebalance(self) -> None:
        """The group gave this worker other partitions."""
        self._counter(listed.REBALANCES).inc()

    def usage_index(self, partition: int, entries: int) -> None:
        """How many usage ids a partition keeps."""
        self._gauge(listed.USAGE_INDEX, str(partition)).set(entries)

    def certificate(self, use: CertificateUse, expires_at: datetime) -> None:
        """When a certificate ends; see rater.ops.certificates."""
        self._gauge(listed.CERTIFICATE_EXPIRY, use).set(expires_at.timestamp())

    # ---- decisions: the agents ----

    def settings(self, number: int) -> None:
        """The number that stands for this process's settings."""
        self._gauge(listed.SETTINGS).set(number)

    def gateway_answer(self, answer: GatewayAnswer) -> None:
        """What the payment gateway answered to a request."""
        self._counter(listed.GATEWAY_ANSWERS, answer).inc()

    def payment_webhook(self, result: WebhookResult) -> None:
        """What was done with a webhook of the payment gateway."""
        self._counter(listed.PAYMENT_WEBHOOKS, result).inc()

    def authorization(self, answer: AuthorizationAnswer, seconds: float) -> None:
        """A switch was answered."""
        self._counter(listed.AUTHORIZATIONS, answer).inc()
        self._histogram(listed.AUTHORIZATION_SECONDS).observe(seconds)

    def running_calls(self, calls: int) -> None:
        """How many calls run now."""
        self._gauge(listed.RUNNING_CALLS).set(calls)

    def call_events(self, result: CallEventResult, events: int = 1) -> None:
        """Switches sent events of running calls."""
        self._counter(listed.CALL_EVENTS, result).inc(events)

    def disconnect(self, reason: DisconnectReason) -> None:
        """A switch is ordered to end a call."""
        self._counter(listed.DISCONNECTS, reason).inc()

    def begin_switches(self, switches: Iterable[str]) -> None:
        """Series of these switches exist at 0, so that the first order that fails is an increase."""
        for switch, result in product((*switches, NO_SWITCH), OrderResult):
            self._counter(listed.SWITCH_ORDERS, switch, result)

    def switch_order(self, switch: str, result: OrderResult) -> None:
        """There is nothing more to do about an order to a switch."""
        self._counter(listed.SWITCH_ORDERS, switch, result).inc()

    def switch_orders_waiting(self, switch: str, orders: int) -> None:
        """How many orders a switch has not confirmed yet."""
        self._gauge(listed.SWITCH_ORDERS_WAITING, switch).set(orders)

    def begin_switch_records(self, switches: Iterable[str]) -> None:
        """Series of these switches exist at 0, so that a switch that never sends is seen."""
        for switch in (*switches, NO_SWITCH):
            self._counter(listed.SWITCH_RECORDS, switch)

    def switch_records(self, switch: str, records: int, last_s: float) -> None:
        """Records of a switch came, the last one at an instant in Unix time."""
        self._counter(listed.SWITCH_RECORDS, switch).inc(records)
        self._gauge(listed.SWITCH_LAST_RECORD, switch).set(last_s)

    def switch_missing(self, switch: str, records: int) -> None:
        """How many of a switch's numbers are missing."""
        self._gauge(listed.SWITCH_MISSING, switch).set(records)

    def notification(self, channel: Channel, result: NotificationResult) -> None:
        """A message to people was sent, or not."""
        self._counter(listed.NOTIFICATIONS, channel, result).inc()

    def notifications_waiting(self, channel: Channel, messages: int) -> None:
        """How many messages are still to be sent."""
        self._gauge(listed.NOTIFICATIONS_WAITING, channel).set(messages)

    # ---- records over HTTP ----

    def http_request(self, route: Route, result: HttpResult) -> None:
        """A request was answered."""
        self._counter(listed.HTTP_REQUESTS, route, result).inc()

    def http_records(self, route: Route, result: RecordResult, records: int) -> None:
        """So many records of a request had this result."""
        self._counter(listed.HTTP_RECORDS, route, result).inc(records)

    def http_waiting(self, records: int) -> None:
        """How many records wait to be stored."""
        self._gauge(listed.HTTP_WAITING).set(records)

    def http_stored(self, seconds: float) -> None:
        """How long it took to store what came together."""
        self._histogram(listed.HTTP_STORED_SECONDS).observe(seconds)

    def replica_lag(self, records: int, seconds: float) -> None:
        """How many records the replica lacks, and for how long it has not been as far as the topics."""
        self._gauge(listed.REPLICA_LAG_RECORDS).set(records)
        self._gauge(listed.REPLICA_LAG_SECONDS).set(seconds)

    def unreadable(self, topic: str) -> None:
        """A record of one of our topics does not decode."""
        self._counter(listed.UNREADABLE, topic).inc()

    # ---- how it is done ----

    def _add_sums(self, sums: Tally) -> None:
        """Count what a batch did.  Its outputs are not looked at here: an embedded rater does not keep them."""
        for kind, currency, micros in flat(sums.debited):
            self._counter(listed.DEBITED, kind, known(currency, _CURRENCIES, NO_CURRENCY)).inc(micros)
        for source, currency, micros in flat(sums.credited):
            self._counter(listed.CREDITED, source, known(currency, _CURRENCIES, NO_CURRENCY)).inc(micros)
        for country, currency, micros in flat(sums.spend):
            where = known(country, _COUNTRIES, NO_COUNTRY)
            self._counter(listed.SPEND, where, known(currency, _CURRENCIES, NO_CURRENCY)).inc(micros)
        for pocket, plan, minutes in flat(sums.minutes):
            self._counter(listed.BILLED_MINUTES, pocket, known(plan, _PLANS, NO_PLAN)).inc(minutes)
        for metric, amounts in ((listed.OVERRUN, sums.overrun), (listed.UNFUNDED, sums.unfunded)):
            for currency, micros in amounts.items():
                self._counter(metric, known(currency, _CURRENCIES, NO_CURRENCY)).inc(micros)
        for reason, records in sums.rejected.items():
            self._counter(listed.REJECTED, reason).inc(records)
        for anomaly, calls in sums.anomalies.items():
            self._counter(listed.ANOMALIES, anomaly).inc(calls)
        for result, recharges in sums.recharges.items():
            self._counter(listed.RECHARGES, result).inc(recharges)
        for mode, windows in sums.brakes.items():
            self._counter(listed.BRAKES_REACHED, mode).inc(windows)

    def _begin_currencies(self, accounts: Iterable[Account]) -> None:
        """Series of a currency exist at 0 before money moves in it, so that the first purchase is an increase."""
        for currency in {account.currency for account in accounts if account.currency} - self._currencies:
            self._currencies.add(currency)
            for source in CreditSource:
                self._counter(listed.CREDITED, source, known(currency, _CURRENCIES, NO_CURRENCY))

    def _show_tenants(self) -> None:
        self._gauge(listed.TENANTS, Standing.LOW).set(self._books.low)
        self._gauge(listed.TENANTS, Standing.SUSPENDED).set(self._books.suspended)
        self._gauge(listed.TENANTS, Standing.CLOSED_OWING).set(self._books.owing)
        self._gauge(listed.TENANTS, Standing.CLOSED_HOLDING).set(self._books.holding)
        self._gauge(listed.RECHARGES_IN_FLIGHT).set(self._books.waiting)
