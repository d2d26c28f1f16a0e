"""`rater what-if` over Kafka's topics: the month that a worker rated, replayed from what the topics keep."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from typer.testing import Result

from rater.core import RULES, Account, LicenseRemoved, PaymentSucceeded, Source, parse_ledger
from rater.dev.generate import Spec
from rater.dev.scenarios.engine import EmbeddedEngine
from rater.engine.batch import Record
from rater.engine.past_payments import PastPayments
from rater.engine.substitutes import Substitutes
from rater.engine.what_if import Replay
from rater.files.deck_csv import write_deck
from rater.kafka.changelog import pack, state_key
from rater.kafka.client import committed_reader
from rater.kafka.connect import connection, reachable
from rater.kafka.port import Consumed
from rater.kafka.snapshot import digest_of, parts_of
from rater.kafka.what_if.beginning import Found, find_beginning
from rater.kafka.what_if.ledger import TopicLedger
from rater.wire.codec import encode_input
from rater.wire.commits import Commit, part_key
from tests.commands import invoke
from tests.embedded.test_what_if import deck
from tests.kafka.deployment import PARTITIONS, Deployment, calls, provisioning
from tests.kafka.test_commands import at as options
from tests.world import HARARE, T, ada, at

MARCH = at("2025-03-01")
NOTHING_DELETED = {"commits": 0, "cdrs": 0, "commands": 0, "rated-calls": 0}
RECORDS_OF_CALLS = NOTHING_DELETED | {"cdrs": 20}
AND_RATINGS = RECORDS_OF_CALLS | {"rated-calls": 7}


def what_if(deployment: Deployment, *words: str) -> Any:
    done = typed(deployment, *words)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def typed(deployment: Deployment, *words: str) -> Result:
    return invoke("what-if", "--period", "2025-03", "--format", "json", *words, *options(deployment))


def debits(facts: Any, side: str, tenant: str | None = None) -> dict[str, str]:
    lines = [line for line in facts["lines"] if line["by"] == "tenant" and tenant in (None, line["tenant"])]
    return {line["tenant"]: line[side]["debits"] for line in lines}


def minutes(facts: Any, side: str, plan: str) -> int:
    """Minutes that pools of a plan paid."""
    return sum(line[side]["minutes"] for line in facts["lines"] if line["name"].startswith(plan))


def rated(deployment: Deployment, spec: Spec) -> None:
    """Everything of a generated month, rated by a worker."""
    deployment.publish(provisioning(spec))
    deployment.publish(list(calls(spec)))
    deployment.start("worker-0")
    deployment.wait_until_rated()


def test_without_a_substitute_nothing_is_different_and_with_another_price_list_it_costs_more(
    deployment: Deployment, tmp_path: Path
) -> None:
    """To the micro-unit, with duplicates and corrections; no group is joined, and one tenant is its part of all."""
    spec = Spec(tenants=4, users=16, calls=400, seed=5, funds="500", duplicate_share=0.1, correction_share=0.1)
    rated(deployment, spec)
    whole = what_if(deployment)
    assert whole["differences"] == 0
    assert (whole["left_out"], whole["refused"]) == (0, [])
    assert sum(line["was"]["calls"] for line in whole["lines"] if line["by"] == "tenant") > 250
    assert all(parse_ledger(amount) > 0 for amount in debits(whole, "was").values())
    write_deck(deck(20), tmp_path / "dear.csv")
    dear = what_if(deployment, "--deck", str(tmp_path / "dear.csv"))
    assert debits(dear, "was") == debits(whole, "was")
    for name, amount in debits(dear, "would_be").items():
        assert parse_ledger(amount) > parse_ledger(debits(whole, "was")[name]), name
    tenant = whole["lines"][0]["tenant"]
    alone = what_if(deployment, "--deck", str(tmp_path / "dear.csv"), "--tenant", tenant)
    assert debits(alone, "would_be") == debits(dear, "would_be", tenant)
    assert alone["records"] < dear["records"]
    held = next(line["name"] for line in alone["lines"] if line["by"] == "plan" and "/" in line["name"]).split("/")[
        0
    ]
    other = what_if(deployment, "--tenant", tenant, "--instead", f"{held}=MCOPSTN8")
    assert (minutes(other, "was", held) > 0, minutes(other, "would_be", held)) == (True, 0)
    assert minutes(other, "would_be", "MCOPSTN8") > minutes(other, "was", "MCOPSTN8") == 0
    euros = typed(deployment, "--deck", str(tmp_path / "dear.csv"), "--currency", "EUR").exception
    assert str(euros).startswith("--deck: expected a price list in USD for the tenants of the month, got EUR: ")
    typo = LicenseRemoved(tenant=tenant, id="typo", at=MARCH, user="nobody", sku=held)
    (tmp_path / "typo.jsonl").write_bytes(encode_input(typo) + b"\n")
    assert [one["id"] for one in what_if(deployment, "--commands", str(tmp_path / "typo.jsonl"))["remarks"]] == [
        "typo"
    ]
    nobody = typed(deployment, "--tenant", "nobody").exception
    assert str(nobody) == "expected a month with calls of nobody, got none in 2025-03"


def test_calls_whose_records_are_deleted_are_replayed_as_they_were_rated(
    deployment: Deployment, tmp_path: Path
) -> None:
    """First half of `cdrs` is gone, then all: with another price list, and without, it comes to the same."""
    spec = Spec(tenants=2, users=12, calls=300, seed=7, funds="50", late_share=0.1, correction_share=0.1)
    rated(deployment, spec)
    write_deck(deck(20), tmp_path / "dear.csv")
    other = ("--deck", str(tmp_path / "dear.csv"))
    expected = {words: what_if(deployment, *words) for words in ((), other)}
    assert sum(line["was"]["calls"] for line in expected[()]["lines"]) > 500
    for kept in (0.5, 0):
        delete(deployment, "cdrs", kept)
        for words, before in expected.items():
            now = what_if(deployment, *words)
            assert now["lines"] == before["lines"]
            assert (now["differences"], now["left_out"]) == (before["differences"], 0)
    assert expected[()]["differences"] == 0 < expected[other]["differences"]
    delete(deployment, "commands", 0)
    assert "the inputs of 2025-03 are not kept" in str(typed(deployment).exception)


def test_a_payment_that_was_asked_for_before_the_replay_is_answered_in_it() -> None:
    """100 USD below 50 are asked for at 40; there the replay begins, and then they are paid: 140."""
    world = ada("MCOPSTNPP", funds="60", recharge=("50", "100"))
    world.call(HARARE, 6_000, "2025-03-10 10:00")
    asked = world.account.recharge.in_flight
    assert asked is not None
    paid = PaymentSucceeded(tenant=T, id="paid", at=at("2025-03-10 12:00"), recharge_id=asked.recharge)
    past = PastPayments({asked.recharge: ("100", at("2025-03-10 11:40"))}, {})
    assert isinstance(world.engine, EmbeddedEngine)
    with closing(TopicLedger(world.memory)) as ledger:
        replay = Replay(ledger, Substitutes(period="2025-03"), past)
        replay.apply(world.engine.rules, [Record("command", Source("commands", 0, 9), encode_input(paid))])
        after = ledger.load("account", (T, ""))
    assert isinstance(after, Account)
    assert (after.balance, after.recharge.in_flight) == (140_000_000, None)


def delete(deployment: Deployment, topic: str, kept: float) -> None:
    """As retention would: the first records of each partition."""

    async def delete_records() -> None:
        settings = deployment.settings
        places = [TopicPartition(settings.topic(topic), number) for number in range(PARTITIONS)]
        async with (
            reachable(settings, committed_reader(settings)) as reader,
            reachable(settings, AIOKafkaAdminClient(**connection(settings))) as admin,
        ):
            ends = await reader.end_offsets(places)
            first = await reader.beginning_offsets(places)
            gone = {place: first[place] + int((ends[place] - first[place]) * (1 - kept)) for place in places}
            await admin.delete_records({place: RecordsToDelete(offset) for place, offset in gone.items()})

    asyncio.run(delete_records())


def account(clock: datetime) -> list[tuple[bytes, bytes]]:
    """A state of one tenant, as it is written."""
    one = Account(tenant="contoso", currency="USD", clock=clock, wake_at=clock)
    return [(state_key("account", ("contoso", "")), pack(one))]


def snapshot(sequence: int, clock: datetime, *, cdrs: int = 0, damaged: bool = False) -> list[Consumed]:
    """Its parts, and the commit that has its digest."""
    parts = parts_of(account(clock))
    commit = Commit(
        partition=0,
        sequence=sequence,
        commands_first=0,
        commands_next=0,
        cdrs_first=cdrs,
        cdrs_next=cdrs,
        outcomes={},
        rules=RULES,
        migrated=digest_of(parts),
        outputs={"rated-calls": sequence},
    )
    written = [part + b"\0" if damaged else part for part in parts]
    keyed = [(part_key(0, number), part) for number, part in enumerate(written)]
    return [Consumed("commits", 0, 0, key, value) for key, value in (*keyed, (b"0", msgspec.json.encode(commit)))]


def found(*snapshots: list[Consumed], first: dict[str, int] = NOTHING_DELETED) -> Found:
    async def commits() -> AsyncIterator[Sequence[Consumed]]:
        for records in snapshots:
            yield records

    return asyncio.run(find_beginning(commits(), first, MARCH))


BEFORE, WITHIN = at("2025-02-20"), at("2025-03-08")


@pytest.mark.parametrize(
    ("snapshots", "first", "begins", "discarded"),
    [
        ([], NOTHING_DELETED, 1, []),
        ([snapshot(5, BEFORE), snapshot(9, BEFORE), snapshot(13, WITHIN)], NOTHING_DELETED, 9, []),
        ([snapshot(5, BEFORE), snapshot(9, BEFORE, damaged=True)], NOTHING_DELETED, 5, [9]),
        ([snapshot(5, BEFORE, damaged=True)], NOTHING_DELETED, 1, [5]),
        ([snapshot(5, BEFORE, cdrs=10)], RECORDS_OF_CALLS, 5, []),
        ([snapshot(5, WITHIN, cdrs=10), snapshot(9, WITHIN, cdrs=30)], AND_RATINGS, 9, []),
        ([snapshot(5, WITHIN, cdrs=10)], AND_RATINGS, None, []),
        ([snapshot(5, BEFORE)], NOTHING_DELETED | {"commands": 1}, None, []),
    ],
    ids=[
        "none",
        "the last before the month",
        "a damaged one",
        "only a damaged one",
        "records of calls deleted",
        "their ratings deleted, too",
        "too late",
        "commands deleted",
    ],
)
def test_a_replay_begins_at_the_last_snapshot_before_the_month(
    snapshots: list[list[Consumed]], first: dict[str, int], begins: int | None, discarded: list[int]
) -> None:
    """Else at the first input; where that is deleted, at the first snapshot whose later inputs are kept."""
    one = found(*snapshots, first=first)
    assert (one.beginning.sequence if one.beginning is not None else None) == begins
    assert one.discarded == discarded
    if begins in (5, 9):
        assert one.beginning is not None
        assert one.beginning.state.entities["account"].keys() == {("contoso", "")}
