"""Small inputs that once gave a wrong result, each with the right one: as files, and on the model of Kafka.

They stand beside the project; a plain clone does not have them.
"""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rater.core.inputs import DeckActivated
from rater.core.settings import RatingSettings
from rater.core.tariff import Tariffs
from rater.embedded.store import open_reader
from rater.files.deck_csv import read_deck
from rater.kafka.index import MemoryIndex
from rater.kafka.port import Consumed
from rater.kafka.publisher import partition_of
from rater.kafka.rating_task import RatingTask
from rater.wire.codec import encode_input
from tests.commands import rater
from tests.simulation.broker import Broker
from tests.simulation.cluster import PARTITIONS, Decks, ModelLog, Process
from tests.simulation.test_task import Quiet, finish

#: When the cases arrived: after all of their calls but those of 2099 and 2199; the call of 366 days ends before.
ARRIVED = datetime(2026, 4, 1, tzinfo=UTC)
TOPICS = ("rated-calls", "rejected-cdrs")
_ONE_MINUTE, _TWO_MINUTES, _JAPAN = "0.013", "0.026", "0.122"


@dataclass(frozen=True)
class Case:
    """The files of a case, and the outcome of its calls: usage ids with charges, and reasons with their number."""

    files: str
    charges: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    setup: str = "setup.jsonl"

    @property
    def names(self) -> list[str]:
        """The files in their order."""
        return self.files.split()


#: JSON Lines are records of both engines.
RECORDS = [
    Case("poison-bigint.jsonl", {"good-1": _ONE_MINUTE, "p1": _ONE_MINUTE, "good-2": _ONE_MINUTE}),
    Case("slow-quotes-32k.jsonl", {"good-1": _ONE_MINUTE, "q1": _ONE_MINUTE, "good-2": _ONE_MINUTE}),
    Case("call-366-days.jsonl", reasons={"implausible_duration": 1}),
    Case("future-cdr.jsonl good1.jsonl", {"good-1": _JAPAN}, {"impossible_time": 1}),
    Case("cdr-drop-funds.jsonl good1.jsonl", {"good-1": _JAPAN}, {"not_a_call_record": 1}),
    Case("cdr-upn-upper-case.jsonl", {"cj-1": _JAPAN}, setup="setup-upn-mixed-case.jsonl"),
    Case("cdr-upn-upper-case.jsonl", {"cj-1": _JAPAN}),
    Case("good1.jsonl good2.jsonl good1.jsonl", {"good-1": _JAPAN, "good-2": _JAPAN}),
    Case("nul-calls.jsonl", reasons={"malformed": 5}, setup="nul-tenants.jsonl"),
    Case("good1.jsonl", reasons={"malformed": 1, "unknown_tenant": 2}, setup="currency-lf.jsonl"),
    Case(
        "injection.jsonl",
        {"i1": _ONE_MINUTE, "=1+1": "0", "[bold red]x[/bold red]": "0"},
        {"malformed": 4},
    ),
]
#: Exports come to the embedded rater as files; `rater publish` makes records of them.
EXPORTS = [
    Case(
        "users-case.csv",
        {"o1": _TWO_MINUTES, "o2": "0", "o3": _TWO_MINUTES},
        setup="setup-upn-mixed-case.jsonl",
    ),
    Case("future-clock.csv", {"k1": _TWO_MINUTES, "k3": _TWO_MINUTES}, {"impossible_time": 1}),
    Case(
        "plus911-and-sip-uris.csv",
        dict.fromkeys(("u00", "u02", "u04", "u05"), "0.03")
        | dict.fromkeys(("u07", "u08", "u09", "u10", "u11", "u12", "u13", "u14"), "0"),
        {"not_e164": 3},
        setup="setup-five-cents.jsonl",
    ),
    Case(
        "nanp.csv",
        dict.fromkeys(
            ("n18095550123", "n12425550123", "n16845550123", "n12684640123", "n14734400123"), _TWO_MINUTES
        )
        | {"n18765550123": "0.82"}
        | dict.fromkeys(("n18005550123", "n18815550123", "n17005550123", "n19765550123", "n15005550123"), "0")
        | dict.fromkeys(
            (
                *("g441534555012", "g447797555012", "g441624555012", "g447911123456"),
                *("g448001111", "g44116", "g447624123456"),
            ),
            "0",
        ),
        setup="nanp-setup.jsonl",
    ),
    Case(
        "call-types-of-real-exports.csv",
        {f"t{number:02}": "0" for number in (*range(8), 11, 13)}
        | {f"t{number:02}": _TWO_MINUTES for number in (8, 9, 10)},
        {"malformed": 3},
    ),
    Case(
        "durations.csv",
        {
            "d00": _TWO_MINUTES,
            "d01": _TWO_MINUTES,
            "d02": _TWO_MINUTES,
            "d06": "0",
            "d07": "0",
            "d09": "0",
            "d11": _TWO_MINUTES,
        },
        {"malformed": 11, "negative_duration": 1},
    ),
]


def named(case: Case) -> str:
    """A case by its files and commands."""
    return f"{case.files} after {case.setup}"


@pytest.fixture
def cases(shared: Path) -> Path:
    return shared / "cases"


def run(cases: Path, folder: Path, setup: str, *files: Path) -> dict[str, list[dict[str, Any]]]:
    """What `rater run` writes on the files, by topic."""
    deck = cases.parent / "conformance" / "reference.csv"
    options = ("--commands", cases / setup, "--deck", deck, "--arrived", ARRIVED.isoformat(), "--tenant", "contoso")
    done = rater("run", *files, *options, cwd=folder)
    assert "Traceback" not in done.stderr
    store = open_reader(folder / "rater.db")
    return {topic: [json.loads(value) for _, value in store.topic(topic)] for topic in TOPICS}


def run_case(cases: Path, folder: Path, case: Case) -> dict[str, list[dict[str, Any]]]:
    """The same on the files of a case."""
    return run(cases, folder, case.setup, *(cases / name for name in case.names))


class Owned(msgspec.Struct):
    """The one field by which records are partitioned."""

    tenant: str


class Stamping(Broker):
    """A broker that stamps every record with the time at which the cases arrived."""

    def read(self, place: tuple[str, int], start: int, limit: int = 1_000_000) -> list[Consumed]:
        """See Broker."""
        stamp = int(ARRIVED.timestamp() * 1000)
        return [msgspec.structs.replace(found, published_ms=stamp) for found in super().read(place, start, limit)]


def publish(cases: Path, case: Case) -> dict[str, list[dict[str, Any]]]:
    """What the rating tasks write when the case's records come through the model of Kafka, by topic."""
    broker, decks = Stamping(), Tariffs()
    deck = read_deck(cases.parent / "conformance" / "reference.csv")
    decks.publish(deck)
    everybody = DeckActivated(tenant="*", id="deck", at=datetime(1970, 1, 1, tzinfo=UTC), version=deck.version)
    for partition in range(PARTITIONS):
        broker.append(("commands", partition), b"*", encode_input(everybody))
    for topic, name in [("commands", case.setup), *(("cdrs", name) for name in case.names)]:
        for raw in (cases / name).read_bytes().splitlines():
            owner = msgspec.json.decode(raw, type=Owned).tenant
            broker.append((topic, partition_of(owner, PARTITIONS)), owner.encode(), raw)
    for partition in range(PARTITIONS):
        log = ModelLog(broker, Process("worker"), partition, random.Random(2))
        task = RatingTask(
            *(log, MemoryIndex(), Decks(decks), RatingSettings()),
            partitions=PARTITIONS,
            batch_records_max=100,
            backlog_records_max=100,
            batch_bytes_max=1_000_000,
            observer=Quiet(),
        )
        finish(task.own())
        finish(task.step())
        finish(task.step())
    return {
        topic: [
            json.loads(record.value or b"")
            for partition in range(PARTITIONS)
            for record in broker.read((topic, partition), 0)
        ]
        for topic in TOPICS
    }


def check(case: Case, found: dict[str, list[dict[str, Any]]]) -> None:
    """The calls that were rated with their charges, and how many inputs were refused for which reasons."""
    assert {call["usage_id"]: call["charge"] for call in found["rated-calls"]} == case.charges
    assert Counter(letter["reason"] for letter in found["rejected-cdrs"]) == case.reasons


@pytest.mark.parametrize("case", [*RECORDS, *EXPORTS], ids=named)
def test_a_case_as_files(cases: Path, case: Case, tmp_path: Path) -> None:
    """Each gives the right result, and stops nothing."""
    check(case, run_case(cases, tmp_path, case))


@pytest.mark.parametrize("case", RECORDS, ids=named)
def test_a_case_as_records_on_the_model_of_kafka(cases: Path, case: Case, tmp_path: Path) -> None:
    """The same calls, refused for the same reasons and priced alike, whichever way they came."""
    published = publish(cases, case)
    check(case, published)
    assert without_places(published["rated-calls"]) == without_places(
        run_case(cases, tmp_path, case)["rated-calls"]
    )


def without_places(calls: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rated calls without where their records stood."""
    return [{name: value for name, value in call.items() if name != "source"} for call in calls]


@pytest.mark.parametrize(
    ("deck", "limit"),
    [
        ("deck-1e9-per-minute.csv", "PRICE_MICROS_MAX"),
        ("deck-valid-to-9999-local.csv", "9999-12-31T23:59:59Z"),
    ],
)
def test_a_deck_beyond_the_edges_is_refused_by_the_limit(
    cases: Path, deck: str, limit: str, tmp_path: Path
) -> None:
    """Nothing is rated with it."""
    done = rater("run", "--deck", cases / deck, "--commands", cases / "setup.jsonl", cwd=tmp_path)
    assert (done.returncode, limit in done.stderr) == (2, True)


def test_a_running_call_for_help_is_not_ended_for_five_cents(cases: Path, tmp_path: Path) -> None:
    """A38: `911` and `+911` run on; no order is made."""
    files = (cases / "plus911-running-call-events.jsonl", "--commands", cases / "setup-five-cents.jsonl")
    deck = cases.parent / "conformance" / "reference.csv"
    assert rater("run", *files, "--deck", deck, "--tenant", "contoso", cwd=tmp_path).returncode == 0
    orders = rater("export", "call-commands", cwd=tmp_path).stdout.splitlines()
    assert len(orders) == 1, orders  # the header


@pytest.mark.parametrize(("size", "reason"), [(994_000, "malformed"), (3_000_000, "too_large")])
def test_a_hole_of_nul_bytes_is_one_letter(cases: Path, size: int, reason: str, tmp_path: Path) -> None:
    """The records around it are rated; the letter is no larger than a letter may be."""
    (tmp_path / "nul.jsonl").write_bytes(generated(cases / "gen-nul-file.py", size))
    found = run(cases, tmp_path, "setup.jsonl", tmp_path / "nul.jsonl")
    assert [call["usage_id"] for call in found["rated-calls"]] == ["n-1", "n-3"]
    (letter,) = found["rejected-cdrs"]
    assert (letter["reason"], len(json.dumps(letter)) < 101_000) == (reason, True)


def test_rows_without_plus_signs_do_not_stop_the_good_call_after_them(cases: Path, tmp_path: Path) -> None:
    """A39: 1,500 rows in a row are refused, each is a letter, and the file after them is rated."""
    (tmp_path / "excel.csv").write_bytes(generated(cases / "gen-excel-rows.py", 1500))
    found = run(cases, tmp_path, "setup.jsonl", tmp_path / "excel.csv", cases / "good1.jsonl")
    check(Case("", {"good-1": _JAPAN}, {"not_e164": 1500}), found)


def test_a_bomb_is_refused_by_the_limit(cases: Path, tmp_path: Path) -> None:
    """Nothing of it is unpacked beyond the limit, and the other file is rated."""
    found = run(cases, tmp_path, "setup.jsonl", cases / "bomb-graph-600MB.json.gz", cases / "good1.jsonl")
    check(Case("", {"good-1": _JAPAN}), found)


def generated(script: Path, size: int) -> bytes:
    """What a script beside the cases writes."""
    return subprocess.run([sys.executable, script, str(size)], check=True, capture_output=True).stdout
