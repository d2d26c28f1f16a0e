"""Metrics: one list, and numbers that say what a batch did."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as open_metrics

from rater.cli.generate import write_month
from rater.core.call_control import DisconnectReason
from rater.core.entities import Account
from rater.core.inputs import (
    AnyCommand,
    BrakeConfigured,
    DeckActivated,
    FundsAdded,
    RechargeSettings,
    Source,
    TenantConfigured,
)
from rater.core.outputs import Output, RatedCall
from rater.core.reasons import CallType, Outcome
from rater.core.settings import RatingSettings
from rater.core.state import Memory
from rater.core.step import Rules
from rater.core.tariff import Tariffs
from rater.dev.generate import Spec
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store
from rater.engine.batch import Batch, Record, run_batch
from rater.engine.gateway import LocalGateway
from rater.files.deck_csv import read_deck
from rater.files.source import InputFile
from rater.ops.metrics import listed
from rater.ops.metrics.labels import (
    AuthorizationAnswer,
    CallEventResult,
    CertificateUse,
    Channel,
    CommitResult,
    GatewayAnswer,
    Input,
    NotificationResult,
    PartitionState,
    WebhookResult,
)
from rater.ops.metrics.latency import BatchHistogram
from rater.ops.metrics.listed import LATENCY_BUCKETS_S, METRICS, Kind, Metric
from rater.ops.metrics.meter import Metrics
from rater.ops.metrics.tally import tally
from rater.wire.codec import encode_input
from tests.commands import rater
from tests.conftest import ROOT
from tests.world import BEGINNING, DECK, JAMAICA, LONDON, at


def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def shown(seen: Metrics, *, zeros: bool = False) -> dict[str, float]:
    """Every series as `name{label="value"}`, in micro-units and seconds."""
    lines = [line for line in generate_latest(seen.registry).decode().splitlines() if line[0] != "#"]
    series = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}
    return {name: value for name, value in series.items() if zeros or value}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: Metric) -> None:
    """`rater_`, a noun, the base unit at the end, `_total` for counters; a sentence of help; buckets ascending."""
    assert metric.name.startswith("rater_")
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    if metric.unit in ("seconds", "micros", "entries"):
        assert metric.name.removesuffix("_total").endswith("_" + metric.unit)
    assert metric.help.endswith(".")
    assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
    assert list(metric.buckets) == sorted(set(metric.buckets))


def test_the_list_is_closed() -> None:
    """What is defined is listed, once; what is listed is shown; nothing else is."""
    defined = [value for value in vars(listed).values() if isinstance(value, Metric)]
    assert defined == list(METRICS)
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    families = {family.name for family in metrics().registry.collect()}
    assert families == {metric.name.removesuffix("_total") for metric in METRICS}


def test_latency_has_buckets_at_the_targets() -> None:
    """100 ms to a state, 200 ms to a commit, 300 ms to a disconnect: a burn rate needs exactly these bounds."""
    assert {0.1, 0.2, 0.3} <= set(LATENCY_BUCKETS_S)


def test_labels_are_bounded() -> None:
    """A label's values are a closed list: the largest family has fewer series than one tenant list."""
    series = {label.name: len(label.values) for metric in METRICS for label in metric.labels}
    assert series["country"] < 260
    assert series["currency"] < 200
    assert "tenant" not in series
    assert "user" not in series


CALL: dict[str, Any] = {
    "tenant": "contoso",
    "user": "ada@contoso.example",
    "type": CallType.USER_OUT,
    "user_country": "US",
}


def call(id: str, day: str, called: str, minutes: int, **more: Any) -> bytes:
    record = {**CALL, "usage_id": id, "answered_at": at(day), "called": called, "duration_s": 60 * minutes, **more}
    return msgspec.json.encode(record)


def history() -> list[Record]:
    """A tenant with 3 dollars and Pay-As-You-Go, who calls until nothing is left."""
    commands: list[AnyCommand] = [
        TenantConfigured(
            tenant="contoso",
            id="1",
            at=BEGINNING,
            currency="USD",
            credits="enabled",
            recharge=RechargeSettings(enabled=False, trigger="2"),
        ),
        DeckActivated(tenant="contoso", id="2", at=BEGINNING, version="deck-1"),
        FundsAdded(tenant="contoso", id="3", at=at("2025-03-01"), amount="3"),
    ]
    lines: list[tuple[Literal["command", "cdr"], bytes]] = [
        *(("command", encode_input(command)) for command in commands),
        (
            "command",
            b'{"command":"license_assigned","tenant":"contoso","id":"4","at":"2025-03-01T00:00:00Z","user":"ada@contoso.example","sku":"MCOPSTNPP"}',
        ),
        (
            "command",
            b'{"command":"license_assigned","tenant":"contoso","id":"5","at":"2025-03-01T00:00:00Z","user":"ada@contoso.example","sku":"MCOPSTN_PAYG_1","country":"US"}',
        ),
        ("cdr", call("a", "2025-03-02", LONDON, 10)),
        ("cdr", call("a", "2025-03-02", LONDON, 10)),
        ("cdr", call("a", "2025-03-02", LONDON, 11)),
        ("cdr", call("b", "2025-03-03", JAMAICA, 20)),
        ("cdr", b"not a record"),
    ]
    return [Record(kind, Source("test", 0, number), raw) for number, (kind, raw) in enumerate(lines)]


def rules() -> Rules:
    tariffs = Tariffs()
    tariffs.publish(read_deck(DECK, version="deck-1"))
    return Rules(RatingSettings(), tariffs)


def rated(
    seen: Metrics, memory: Memory, records: list[Record], sizes: int = 100, *, kept: bool = True
) -> list[Batch]:
    """Apply records in batches of a size, and observe each as a shell does: after its commit.

    The worker keeps a batch's outputs; the embedded rater keeps their sums alone.
    """
    batches = []
    for start in range(0, len(records), sizes):
        written: list[Output] = []
        part = records[start : start + sizes]
        batch = run_batch(memory, rules(), part, write=None if kept else written.extend)
        memory.merge(batch.state)
        seen.observe_batch(batch, sums=None if kept else tally(written))
        batches.append(batch)
    return batches


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("sizes", [1, 3, 100])
def test_what_a_history_shows(sizes: int, kept: bool) -> None:
    """The same numbers however the records fell into batches, and where outputs are not kept."""
    seen = metrics()
    rated(seen, Memory(), history(), sizes, kept=kept)
    batches = rated(metrics(), Memory(), history())  # what its calls cost, however they are observed
    calls = {
        output.usage_id: output for batch in batches for output in batch.outputs if isinstance(output, RatedCall)
    }
    london, jamaica = (float(calls[id].charge) * 1e6 for id in "ab")
    assert london + jamaica > 3_000_000  # so that it goes below zero
    money = shown(seen)
    assert money == {
        'rater_records_total{outcome="rated"}': 5 + 2,
        'rater_records_total{outcome="duplicate"}': 1,
        'rater_records_total{outcome="conflicting_duplicate"}': 1,
        'rater_records_total{outcome="rejected"}': 1,
        'rater_rejected_records_total{reason="malformed"}': 1,
        'rater_rejected_records_total{reason="conflicting_duplicate"}': 1,
        'rater_billed_minutes_total{plan="none",pocket="credit"}': 10 + 20,
        'rater_credited_micros_total{currency="USD",source="funds"}': 3_000_000,
        'rater_debited_micros_total{currency="USD",kind="call"}': london + jamaica,
        'rater_spend_micros_total{country="GB",currency="USD"}': london,
        'rater_spend_micros_total{country="JM",currency="USD"}': jamaica,
        'rater_overrun_micros_total{currency="USD"}': london + jamaica - 3_000_000,
        'rater_tenants{standing="suspended"}': 1,
    }


def test_calls_that_nobody_pays_and_calls_without_a_price() -> None:
    """ben has no right to spend: 10 minutes to London, 10 x 0.05, are unfunded; a number without a price is free."""
    seen, memory = metrics(), Memory()
    licensed = b'{"command":"license_assigned","tenant":"contoso","id":"6","at":"2025-03-01T00:00:00Z","user":"ben@contoso.example","sku":"MCOPSTN1","country":"US"}'
    calls = [call("c", "2025-03-03", LONDON, 10), call("d", "2025-03-03", "+99912345678", 1)]
    lines = [("command", licensed), *(("cdr", one.replace(b"ada@", b"ben@")) for one in calls)]
    records = [Record(kind, Source("test", 1, number), raw) for number, (kind, raw) in enumerate(lines)]  # type: ignore[arg-type]  # a literal at every line
    rated(seen, memory, [*history()[:5], *records])
    series = shown(seen)
    assert series['rater_unfunded_micros_total{currency="USD"}'] == 500_000
    assert {name: value for name, value in series.items() if "anomalous" in name} == {
        'rater_anomalous_calls_total{anomaly="no_rate"}': 1
    }


def test_every_metric_has_its_value_in_a_test() -> None:
    """A metric that is listed and counted nowhere is found: no test names it, or its test fails."""
    tested = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert [metric.name for metric in METRICS if metric.name not in tested] == []


def test_recharges_are_counted_and_answered(tmp_path: Path) -> None:
    """A month of three tenants, one with a declined card: what was asked is answered, and nothing is in flight."""
    write_month(Spec(tenants=3, users=60, calls=3_000, funds="60", tenant_names=("a", "b", "c")), tmp_path)
    store = Store(tmp_path / "rater.db")
    seen = metrics()
    rater = EmbeddedRater(store, RatingSettings(), LocalGateway(["b"]), seen)
    deck = read_deck(DECK)
    rater.publish(deck)
    rater.consume(InputFile(str(tmp_path / "commands.jsonl"), "commands"))
    rater.activate(deck.version)
    rater.consume(InputFile(str(tmp_path / "cdrs.jsonl"), None))
    series, events = shown(seen, zeros=True), rater.summary.events
    assert events["recharge.requested"] > 0
    assert events["recharge.failed"] > 0
    for result in ("requested", "succeeded", "failed", "suppressed"):
        assert series[f'rater_recharges_total{{result="{result}"}}'] == events[f"recharge.{result}"]
    assert series["rater_recharges_in_flight"] == 0
    assert (
        sum(value for name, value in series.items() if name.startswith("rater_records_total"))
        == rater.summary.records
    )
    assert series["rater_conservation_difference_micros"] == 0
    assert sum(value for name, value in series.items() if name.startswith("rater_sequence_breaks")) == 0
    assert series["rater_batch_seconds_count"] == series["rater_commit_seconds_count"] > 3
    again = metrics()
    EmbeddedRater(store, RatingSettings(), LocalGateway(["b"]), again)
    tenants = [name for name in series if name.startswith("rater_tenants")]
    assert {name: shown(again, zeros=True)[name] for name in tenants} == {name: series[name] for name in tenants}
    store.close()


def lost_output(batch: Batch) -> None:
    """A debit that never left."""
    batch.outputs[:] = [output for output in batch.outputs if type(output).__name__ != "Debit"]


def sent_twice(batch: Batch) -> None:
    """A debit that left twice."""
    batch.outputs.extend([output for output in batch.outputs if type(output).__name__ == "Debit"])


def wrong_balance(batch: Batch) -> None:
    """A balance that moved by a micro-unit more."""
    account = batch.state.accounts["contoso"]
    account.balance -= 1
    account.debt += 1


def wrong_lots(batch: Batch) -> None:
    """Lots that do not add up to the balance."""
    account = batch.state.accounts["contoso"]
    first, *others = account.lots
    account.lots = (msgspec.structs.replace(first, remaining=first.remaining + 1), *others)


def skipped_number(batch: Batch) -> None:
    """An account that went on from another sequence, as after a restore that missed a batch."""
    batch.state.accounts["contoso"].sequences.rated_calls += 1


@pytest.mark.parametrize(
    ("fault", "difference", "breaks"),
    [
        (lost_output, True, {"debits": 1}),
        (sent_twice, True, {"debits": 1}),
        (wrong_balance, True, {}),
        (wrong_lots, True, {}),
        (skipped_number, False, {"rated-calls": 1}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_audit_finds_a_fault(fault: Any, difference: bool, breaks: dict[str, int]) -> None:
    """Each kind of damage between two batches moves its metric."""
    seen, memory = metrics(), Memory()
    *before, good, _ = history()
    rated(seen, memory, before)
    batch = run_batch(memory, rules(), [good])
    fault(batch)
    found = seen.observe_batch(batch)
    assert (bool(found.difference_micros), dict(found.breaks), found.tenants) == (difference, breaks, ("contoso",))
    series = shown(seen)
    assert ("rater_conservation_difference_micros" in series) == difference
    assert [name for name in series if "sequence_breaks" in name] == [
        f'rater_sequence_breaks_total{{topic="{topic}"}}' for topic in breaks
    ]


def test_a_partition_that_went_away_and_came_back_is_learnt_anew() -> None:
    """Another worker wrote its tenants meanwhile: what was known before is out of date."""
    seen, memory = metrics(), Memory()
    records = history()
    rated(seen, memory, records[:6])
    seen.forget_partition(0)
    meanwhile = run_batch(memory, rules(), records[6:9])
    memory.merge(meanwhile.state)
    accounts = [found for found in memory.entities["account"].values() if isinstance(found, Account)]
    seen.restored(0, accounts, 2.0, at("2025-03-04"))
    rated(seen, memory, records[9:])
    series = shown(seen, zeros=True)
    assert series["rater_conservation_difference_micros"] == 0
    assert series['rater_tenants{standing="suspended"}'] == 1
    assert series["rater_restore_seconds_count"] == 1
    assert series['rater_last_commit_timestamp_seconds{partition="0"}'] == at("2025-03-04").timestamp()


def test_series_of_a_partition_end_with_it() -> None:
    """A gauge that is not set any more would alert for ever."""
    seen = metrics()
    seen.lag(Input.CDRS, 3, 17, 2.5)
    seen.usage_index(3, 1000)
    assert shown(seen)['rater_consumer_lag_seconds{input="cdrs",partition="3"}'] == 2.5
    seen.committed_at(3, at("2025-03-04"))
    assert 'rater_consumer_lag_records{input="cdrs",partition="3"}' in shown(seen)
    seen.forget_partition(3)
    assert [name for name in shown(seen, zeros=True) if "partition=" in name] == []


def test_an_unknown_currency_makes_no_series_of_its_own() -> None:
    """Release 0.3.0 accepted any three letters; the label's closed list has XXX for what it does not hold."""
    seen, memory = metrics(), Memory()
    first, *others = history()
    rated(seen, memory, [first])
    account = memory.entities["account"][("contoso", "")]
    assert isinstance(account, Account)
    account.currency = "ZZZ"
    rated(seen, memory, others[1:2])
    assert 'rater_credited_micros_total{currency="XXX",source="funds"}' in shown(seen)


def test_every_other_metric_moves() -> None:
    """What the worker and the agents count."""
    seen = metrics()
    seen.batch_seconds(0.01)
    seen.commit(CommitResult.ABORTED)
    seen.commit(CommitResult.COMMITTED, 0.02)
    seen.rebalance()
    seen.partitions({PartitionState.RATING: 4})
    seen.gateway_answer(GatewayAnswer.DECLINED)
    seen.payment_webhook(WebhookResult.FORGED)
    seen.authorization(AuthorizationAnswer.DENIED, 0.003)
    seen.running_calls(3)
    seen.call_events(CallEventResult.TAKEN)
    seen.disconnect(DisconnectReason.CREDIT_USED_UP)
    seen.notification(Channel.EMAIL, NotificationResult.SENT)
    seen.notifications_waiting(Channel.EMAIL, 7)
    seen.unreadable("balances")
    seen.certificate(CertificateUse.CLIENT, datetime(2026, 1, 1, tzinfo=UTC))
    seen.records(Outcome.RATED, 2)
    seen.replica_lag(12, 0.5)
    assert {name: value for name, value in shown(seen).items() if "bucket" not in name} == {
        "rater_batch_seconds_count": 1,
        "rater_batch_seconds_sum": 0.01,
        'rater_commits_total{result="aborted"}': 1,
        'rater_commits_total{result="committed"}': 1,
        "rater_commit_seconds_count": 1,
        "rater_commit_seconds_sum": 0.02,
        "rater_rebalances_total": 1,
        'rater_partitions{state="rating"}': 4,
        'rater_gateway_answers_total{answer="declined"}': 1,
        'rater_payment_webhooks_total{result="forged"}': 1,
        'rater_authorizations_total{answer="denied"}': 1,
        "rater_authorization_seconds_count": 1,
        "rater_authorization_seconds_sum": 0.003,
        "rater_running_calls": 3,
        'rater_call_events_total{result="taken"}': 1,
        'rater_disconnects_total{reason="credit_used_up"}': 1,
        'rater_notifications_total{channel="email",result="sent"}': 1,
        'rater_notifications_waiting{channel="email"}': 7,
        'rater_unreadable_records_total{topic="balances"}': 1,
        'rater_certificate_expiry_timestamp_seconds{use="client"}': 1767225600,
        'rater_records_total{outcome="rated"}': 2,
        "rater_replica_lag_records": 12,
        "rater_replica_lag_seconds": 0.5,
    }


@given(st.lists(st.lists(st.floats(0, 400), max_size=20), max_size=5))
def test_batches_count_as_the_client_library_does(batches: list[list[float]]) -> None:
    """Law: a histogram of batches is the library's histogram of their observations one by one."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    whole = BatchHistogram("x_seconds", "x", LATENCY_BUCKETS_S)
    ours.register(whole)
    single = Histogram("x_seconds", "x", buckets=LATENCY_BUCKETS_S, registry=theirs)
    for batch in batches:
        whole.observe(batch)
        for seconds in batch:
            single.observe(seconds)
    read = [
        {
            line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in generate_latest(registry).decode().splitlines()
            if line[0] != "#"
        }
        for registry in (ours, theirs)
    ]
    assert read[0] == pytest.approx(read[1])


def test_the_slowest_record_is_the_exemplar() -> None:
    """Whoever sees a slow bucket finds a call to look at; only a scraper that reads OpenMetrics gets it."""
    seen = metrics()
    seen.latencies([0.05, 0.28, 0.11], "9c4984c7")
    text = open_metrics(seen.registry).decode()  # type: ignore[no-untyped-call]  # it ships without types
    assert 'rater_latency_seconds_bucket{le="0.3"} 3.0 # {usage_id="9c4984c7"} 0.28\n' in text
    assert text.count("usage_id") == 1


def test_the_list_as_a_command() -> None:
    """`rater metrics list` in three forms says the same."""
    forms = {
        form: rater("metrics", "list", *form, code=0, environment={"COLUMNS": "250"}).stdout
        for form in ((), ("--json",), ("--markdown",))
    }
    assert [fact["name"] for fact in json.loads(forms["--json",])] == [metric.name for metric in METRICS]
    for metric in METRICS:
        assert f"| `{metric.name}` | {metric.kind} |" in forms["--markdown",]
        assert metric.name in forms[()]


def test_limits_that_were_reached_are_counted_by_their_mode() -> None:
    """A50: 20 minutes to Jamaica cost more than a limit of 1, and than one of 2 that only counts."""
    modes: tuple[tuple[Literal["shadow", "notify", "stop"], str], ...] = (
        ("stop", "1"),
        ("shadow", "2"),
        ("notify", "1000"),
    )
    limits = [
        BrakeConfigured(
            tenant="contoso",
            id=f"brake-{mode}",
            at=at("2025-03-01"),
            brake=mode,
            scope="tenant",
            measure="spend",
            window="day",
            limit=limit,
            mode=mode,
        )
        for mode, limit in modes
    ]
    records = [
        Record("command", Source("limits", 0, number), encode_input(limit)) for number, limit in enumerate(limits)
    ]
    seen = metrics()
    rated(seen, Memory(), [*history()[:5], *records, *history()[5:]])
    assert {name: value for name, value in shown(seen).items() if "brakes" in name} == {
        'rater_brakes_reached_total{mode="stop"}': 1,
        'rater_brakes_reached_total{mode="shadow"}': 1,
    }
