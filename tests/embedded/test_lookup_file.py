"""The file of the lookup: private, only a cache, and made anew whenever the store is not what it was made of."""

import shutil
import sqlite3
import stat
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path

import msgspec
import pytest

from rater.core import CallType, RatingSettings, UserErased
from rater.dev.generate import Spec
from rater.embedded.backup import back_up
from rater.embedded.dead_letters import StoreLetters
from rater.embedded.erasure import erase
from rater.embedded.lookup import CallFilter, catching_up, open_lookup
from rater.embedded.lookup import file as lookup_file
from rater.embedded.lookup import lookup as lookup_module
from rater.embedded.lookup.file import lookup_path
from rater.embedded.retention import DaysKept, prune
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store, open_reader
from rater.files.source import InputFile
from rater.files.statement import statement_of
from tests.embedded.ledgers import Loops, write_ledger, written
from tests.world import at

SMALL = Spec(tenants=2, users=6, calls=150, funds="60", correction_share=0.1)
USER = "user000000@tenant-0000.example"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of 150 calls, and its lookup."""
    path = tmp_path / "rater.db"
    write_ledger(path, SMALL)
    assert usage_ids(path)
    return path


def usage_ids(path: Path, tenant: str = "tenant-0000", **wanted: object) -> list[str]:
    """By the lookup; checked against a plain loop."""
    with closing(open_reader(path)) as reader, closing(open_lookup(reader)) as lookup:
        asked = CallFilter(**wanted)  # type: ignore[arg-type]  # the names are those of the filter
        found = lookup.calls(tenant, asked, None, 1_000).calls
        loops = Loops(reader, tenant)
        assert found == loops.calls(asked)
        account = reader.account(tenant)
        assert account is not None
        assert lookup.balance_at(tenant, at("2100-01-01")) == account.balance
        for since, until in (
            ("2025-02-01", "2025-03-01"),
            ("2025-03-01", "2025-03-16"),
            ("2025-03-01", "2025-04-01"),
        ):
            period = (tenant, at(since), at(until))
            assert lookup.statement(*period) == statement_of(reader, *period)
        return [call.usage_id for call, _ in found]


def add(path: Path, seed: int) -> None:
    """Rate 50 other calls."""
    store = Store(path)
    month = msgspec.structs.replace(SMALL, seed=seed, calls=50)
    source = InputFile(str(written(path.with_name(f"more-{seed}.jsonl"), month)), "cdrs")
    EmbeddedRater(store, RatingSettings(), None).consume(source)
    store.close()


def test_only_its_owner_may_read_it(store: Path) -> None:
    """It says who called whom."""
    assert stat.S_IMODE(lookup_path(store).stat().st_mode) == 0o600


def test_it_is_filled_from_where_it_ended(store: Path) -> None:
    """What was read is not read again; what came since is there."""
    add(store, seed=2)
    with closing(open_reader(store)) as reader, closing(open_lookup(reader)) as lookup:
        assert lookup.catch_up() == 0
    before = lookup_path(store).stat().st_ino
    assert len(usage_ids(store)) > 75
    assert lookup_path(store).stat().st_ino == before


def erased(path: Path) -> None:
    store = Store(path)
    rater = EmbeddedRater(store, RatingSettings(), None)
    erase(store, rater, UserErased(tenant="tenant-0000", id="e", at=at("2025-05-01"), user=USER, key="k" * 32))
    store.close()


def pruned(path: Path) -> None:
    """Everything that was rated before today, which is long after the calls."""
    store = Store(path)
    prune(store, DaysKept(1, 1, 1), date.today() + timedelta(days=900))
    store.close()


def replaced(path: Path) -> None:
    """Another store of the same size, with other calls."""
    other = path.with_name("other.db")
    write_ledger(other, msgspec.structs.replace(SMALL, seed=9))
    back_up(other, path.with_name("copy.db"))
    _put(path.with_name("copy.db"), path)


def _put(source: Path, path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copy(source, path)


def test_what_is_pruned_is_deleted_and_the_rest_stays(store: Path) -> None:
    """The rows of the deleted calls and debits go, their money stays in every balance, and nothing is read again."""
    add(store, seed=2)
    before = usage_ids(store)
    with closing(sqlite3.connect(lookup_path(store))) as connection:
        connection.execute("INSERT INTO names (name) VALUES ('still this file')")
        connection.commit()
    pruned(store)
    assert 0 < len(usage_ids(store)) < len(before)
    with closing(sqlite3.connect(lookup_path(store))) as connection:
        assert connection.execute("SELECT 1 FROM names WHERE name='still this file'").fetchone()
        (ratings,) = connection.execute("SELECT count(*) FROM calls").fetchone()
        spent = connection.execute("SELECT sum(calls) FROM spent WHERE kind=0").fetchone()[0]
        flagged = connection.execute("SELECT count(*) FROM flagged WHERE offset NOT IN (SELECT offset FROM calls)")
        assert (flagged.fetchone()[0], spent <= ratings) == (0, True)


def test_letters_that_wait_are_counted(tmp_path: Path) -> None:
    """One that was dropped is counted no longer, in a lookup that is there as in one that is made anew."""
    path = tmp_path / "rater.db"
    write_ledger(path, msgspec.structs.replace(SMALL, poison_share=0.2))
    box = StoreLetters(path, lambda store: EmbeddedRater(store, RatingSettings(), None))
    letters = box.letters()
    counted = Counter(one.owner for one in letters)
    assert max(counted.values()) > 1
    assert waiting(path) == counted
    box.drop(letters[:1], "olga", at("2025-05-01"), "a test call")
    counted[letters[0].owner] -= 1
    assert waiting(path) == +counted
    assert waiting(path, most=1) == dict.fromkeys(+counted, 1)
    lookup_path(path).unlink()
    assert waiting(path) == +counted


def waiting(path: Path, most: int = 1_000) -> dict[str, int]:
    """By the lookup: letters of each tenant."""
    with closing(open_reader(path)) as reader, closing(open_lookup(reader)) as lookup:
        return lookup.waiting(most)


@pytest.mark.parametrize("change", [erased, replaced], ids=["erased", "replaced"])
def test_it_is_made_anew(store: Path, change: Callable[[Path], None]) -> None:
    """Afterwards it says what the store says, and of an erased user nothing is left in it."""
    usage_ids(store)
    change(store)
    usage_ids(store)
    if change is erased:
        assert usage_ids(store, user=USER) == []
        assert b"user000000@" not in lookup_path(store).read_bytes()


def test_erasing_deletes_the_file(store: Path) -> None:
    """Before anybody asks again."""
    assert lookup_path(store).exists()
    erased(store)
    assert not lookup_path(store).exists()


@pytest.mark.parametrize("more", [0, 2], ids=["as it was", "rated again with others"])
def test_a_store_that_was_restored(store: Path, more: int) -> None:
    """A backup has fewer calls than the lookup; once other calls were added, it has as many, and others."""
    back_up(store, store.with_name("backup.db"))
    add(store, seed=3)
    with_more = usage_ids(store)
    _put(store.with_name("backup.db"), store)
    if more:
        add(store, seed=4)
    assert usage_ids(store) != with_more


def test_a_file_that_is_no_lookup(store: Path) -> None:
    """Damaged, or something else: it is made anew."""
    for content in (b"no lookup", lookup_path(store).read_bytes()[:9_000] + b"\0" * 60_000):
        lookup_path(store).write_bytes(content)
        assert usage_ids(store)


def test_a_folder_that_cannot_be_written(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lookup is in a temporary file then, and nothing stays in the folder."""
    lookup_path(store).unlink()
    lookup_path(store).mkdir()  # also root cannot open it as a file
    assert usage_ids(store)
    assert list(lookup_path(store).iterdir()) == []


def _catch_up(path: str) -> None:
    catching_up.PART_RECORDS, lookup_module._TRANSACTION_S = 20, 0
    usage_ids(Path(path))


def test_a_part_that_ends_with_the_last_record(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is there then, the indexes as well."""
    lookup_path(store).unlink()
    monkeypatch.setattr(lookup_module, "_PART_S", 0)
    with closing(open_reader(store)) as reader, closing(lookup_module.Lookup(reader)) as lookup:
        assert lookup.catch_up_part()
        found = lookup.calls("tenant-0000", CallFilter(user=USER), None, 1_000).calls
        assert found == Loops(reader, "tenant-0000").calls(CallFilter(user=USER)) != []


def test_two_processes_at_once(store: Path) -> None:
    """Both fill one file in parts, and both answer as plain loops do."""
    lookup_path(store).unlink()
    context = get_context("spawn")
    both = [context.Process(target=_catch_up, args=(str(store),)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(120)
    assert [one.exitcode for one in both] == [0, 0]
    assert usage_ids(store)


def test_a_lookup_that_was_deleted_while_it_is_open(store: Path) -> None:
    """The next time it catches up, it is another file, and full."""
    with closing(open_reader(store)) as reader, closing(open_lookup(reader)) as lookup:
        lookup_file.forget_lookup(store)
        lookup.catch_up()
        found = lookup.calls("tenant-0000", CallFilter(type=CallType.USER_OUT), None, 1_000).calls
        assert found == Loops(reader, "tenant-0000").calls(CallFilter(type=CallType.USER_OUT))
        assert lookup_path(store).exists()


def test_a_store_of_an_older_release(store: Path) -> None:
    """It has no openings: its owner's number says whether somebody wrote it since."""
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("DROP TABLE openings")
        connection.commit()
    first = usage_ids(store)
    add(store, seed=5)
    assert len(usage_ids(store)) > len(first)
