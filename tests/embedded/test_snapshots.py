"""Snapshots in a store: a replay that begins with one gives what a replay from the first input gives."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.core.inputs import UserErased
from rater.core.settings import RatingSettings
from rater.dev.generate import Spec, generate_calls, generate_commands
from rater.embedded import snapshots
from rater.embedded.erasure import erase, person_of, waiting_letters
from rater.embedded.retention import DaysKept, prune
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store, open_reader
from rater.embedded.verify import verify_store
from rater.embedded.what_if import compare
from rater.engine.comparison import Comparison
from rater.engine.gateway import LocalGateway
from rater.engine.substitutes import Substitutes
from rater.files.source import InputFile
from rater.wire.codec import encode_input
from tests.embedded.test_what_if import SPEC, deck, other_licences, sums
from tests.world import at

MARCH = "2025-03"


@pytest.fixture(autouse=True)
def small_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot every 40 inputs, however many entities there are; in batches as small."""
    monkeypatch.setattr(snapshots, "SNAPSHOT_RECORDS", 40)
    monkeypatch.setattr(snapshots, "_RECORDS_AN_ENTITY", 0)
    monkeypatch.setattr(snapshots, "_PART_ROWS", 7)
    monkeypatch.setattr("rater.embedded.run.BATCH_RECORDS", 25)


def two_months(folder: Path, spec: Spec = SPEC, declined: tuple[str, ...] = ()) -> Path:
    """A store with calls of February and of March, each month in a file of its own."""
    path = folder / "rater.db"
    february = msgspec.structs.replace(spec, month="2025-02")
    march = msgspec.structs.replace(spec, month=MARCH, seed=spec.seed + 1)
    with closing(Store(path)) as store:
        rater = EmbeddedRater(store, RatingSettings(), LocalGateway(declined))
        rater.publish(deck())
        consume(rater, folder / "commands.jsonl", generate_commands(february), "commands")
        rater.activate(deck().version)
        for month in (february, march):
            consume(rater, folder / f"{month.month}.jsonl", generate_calls(month), "cdrs")
        rater.tick(at("2025-04-05"))
    return path


def consume(rater: EmbeddedRater, file: Path, values: Iterator[Any], kind: str) -> None:
    lines = [value if isinstance(value, bytes) else encode_input(value) for value in values]
    file.write_bytes(b"\n".join(lines) + b"\n")
    rater.consume(InputFile(str(file), kind))


def execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def batches(path: Path) -> list[int]:
    """After which batches snapshots stand."""
    with closing(sqlite3.connect(path)) as connection:
        return [batch for (batch,) in connection.execute("SELECT batch FROM snapshots ORDER BY batch")]


def replayed(path: Path, substitutes: Substitutes) -> tuple[Comparison, list[str]]:
    """The comparison, and the messages."""
    said: list[str] = []
    return compare(path, substitutes, say=said.append), said


def figures(found: Comparison) -> tuple[Any, ...]:
    """All but how many inputs were replayed."""
    assumed = found.assumed_paid, found.assumed_declined, found.left_out
    return sums(found.was), sums(found.would_be), found.refused, assumed


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(1, 10_000),
    funds=st.sampled_from(["20", "60", "500"]),
    declined=st.sampled_from([(), ("tenant-0000",)]),
    substitute=st.sampled_from(["nothing", "list", "licences", "setting"]),
    tenant=st.sampled_from([None, "tenant-0001"]),
)
def test_a_replay_from_a_snapshot_gives_what_one_from_the_beginning_gives(
    seed: int, funds: str, declined: tuple[str, ...], substitute: str, tenant: str | None
) -> None:
    """In every line, to the micro-unit: recharges, declined cards, corrections, late and repeated calls."""
    spec = msgspec.structs.replace(SPEC, seed=seed, calls=120, funds=funds)
    others: dict[str, dict[str, Any]] = {
        "nothing": {},
        "list": {"deck": deck(20)},
        "licences": {"commands": tuple(other_licences(msgspec.structs.replace(spec, month="2025-02")))},
        "setting": {"settings": {"straddle": "whole_to_credits"}},
    }
    with TemporaryDirectory() as folder:
        path = two_months(Path(folder), spec, declined)
        wanted = Substitutes(period=MARCH, tenant=tenant, **others[substitute])
        found, said = replayed(path, wanted)
        execute(path, "DELETE FROM snapshots")
        whole, _ = replayed(path, wanted)
    assert figures(found) == figures(whole)
    assert found.records < whole.records
    assert said == []


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a store with snapshots."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(snapshots, "SNAPSHOT_RECORDS", 40)
        patched.setattr(snapshots, "_RECORDS_AN_ENTITY", 0)
        patched.setattr("rater.embedded.run.BATCH_RECORDS", 25)
        path = two_months(tmp_path_factory.mktemp("past"))
    execute(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()


@pytest.fixture
def store(past: bytes, tmp_path: Path) -> Path:
    """A store with calls of two months and some snapshots."""
    path = tmp_path / "rater.db"
    path.write_bytes(past)
    assert len(batches(path)) > 5
    return path


DAMAGES = {
    "a part has other bytes": 'UPDATE "snapshot-parts" SET value=zeroblob(20) WHERE batch={batch} AND number=0',
    "a part is missing": 'DELETE FROM "snapshot-parts" WHERE batch={batch} AND number=1',
    "the batch is another": 'UPDATE snapshots SET value=replace(value, \'"after":"\', \'"after":"0\') WHERE batch={batch}',
    "it cannot be read": "UPDATE snapshots SET value='{{' WHERE batch={batch}",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_snapshot_that_does_not_fit_is_discarded_and_said(store: Path, damage: str) -> None:
    """The one before it is begun with, and the figures are the same."""
    wanted = Substitutes(period=MARCH, deck=deck(20))
    before, _ = replayed(store, wanted)
    used = max(batch for batch in batches(store) if is_before_march(store, batch))
    execute(store, DAMAGES[damage].format(batch=used))
    found, said = replayed(store, wanted)
    assert figures(found) == figures(before)
    assert found.records > before.records
    assert [f"after batch {used} " in line and "discarded" in line for line in said] == [True]


def is_before_march(path: Path, batch: int) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        (value,) = connection.execute("SELECT value FROM snapshots WHERE batch=?", (batch,)).fetchone()
    return msgspec.json.decode(value, type=snapshots.Snapshot).clock <= at("2025-03-01")


def test_a_store_with_snapshots_is_verified_as_before(store: Path) -> None:
    """From its first input on; nothing differs."""
    report = verify_store(store)
    assert (report.found, report.records > 500) == (0, True)


def pruned(path: Path) -> None:
    with closing(Store(path)) as store:
        prune(store, DaysKept(1, 1, 1), date.today() + timedelta(days=900))


def erased(path: Path) -> None:
    users = [f"user{number:06d}@tenant-0000.example" for number in range(0, SPEC.users, SPEC.tenants)]
    erasures = [
        UserErased(tenant="tenant-0000", id="e", at=at("2025-05-01"), user=user, key="k" * 32) for user in users
    ]
    with closing(Store(path)) as store:
        command = next(one for one in erasures if not waiting_letters(store, person_of(store, one)))
        erase(store, EmbeddedRater(store, RatingSettings(), None), command)


@pytest.mark.parametrize("change", [pruned, erased])
def test_with_the_inputs_their_snapshots_are_deleted(store: Path, change: Callable[[Path], None]) -> None:
    """What would not fit any more is gone: of an erased user no snapshot has the name."""
    change(store)
    assert batches(store) == []
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute('SELECT count(*) FROM "snapshot-parts"').fetchone()[0] == 0


def test_the_larger_the_state_the_rarer_the_snapshots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four inputs for each entity at least: snapshots stay a small part of what the inputs take."""
    monkeypatch.setattr(snapshots, "_RECORDS_AN_ENTITY", 4)
    path = two_months(tmp_path)
    with closing(open_reader(path)) as reader:
        counts = [
            reader.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("entities", "seen")
        ]
        (records,) = reader.connection.execute('SELECT sum(records) FROM "kept-inputs"').fetchone()
    assert len(batches(path)) <= records // 40 // 2
    assert len(batches(path)) <= 1 + records // sum(counts)
