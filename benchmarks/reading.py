"""The lookup of a store: how fast it is filled, and how long pages of calls and sums take.  Prints JSON.

Its limit of the same run: how fast the same records are read, and as many rows of as many numbers are written to a
file of SQLite with one index, and nothing is worked out.

The store holds rows as the rater writes them: a generated month is rated once, and its rows are written again and
again under new ids until there are enough, so that a million calls take a minute and not a quarter of an hour.
"""

import argparse
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from pathlib import Path

from rater.core import (
    EVERY_TENANT,
    CallType,
    DeckActivated,
    RatedCall,
    RatingSettings,
    parse_ledger,
)
from rater.dev.demo.rates import BUNDLED
from rater.dev.generate import Spec, generate_calls, generate_commands
from rater.embedded.lookup import CallFilter, Lookup
from rater.embedded.lookup.file import lookup_path
from rater.embedded.openings import TOPICS
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Reader, Store, open_reader
from rater.files.deck_csv import read_deck
from rater.files.source import InputFile
from rater.wire.codec import encode_input

RATED = 20_000
REPEATS = 20
START, END = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC)
SPEC = Spec(tenants=3, users=600, calls=RATED, funds="1000000")


def write_store(path: Path, spec: Spec, *later: Spec) -> None:
    """A store in which a generated month is rated, and the calls of later ones."""
    store = Store(path)
    rater = EmbeddedRater(store, RatingSettings(), None)
    rater.publish(read_deck(BUNDLED, version="d"))
    at = datetime.fromisoformat(f"{spec.month}-01T00:00:00Z") - timedelta(days=1)
    activated = DeckActivated(tenant=EVERY_TENANT, id="d", at=at, version="d")
    rater.apply_all([*generate_commands(spec), activated], at)
    file = path.with_name("cdrs.jsonl")
    with file.open("wb") as lines:
        for one in chain.from_iterable(map(generate_calls, (spec, *later))):
            lines.write((one if isinstance(one, bytes) else encode_input(one)) + b"\n")
    rater.consume(InputFile(str(file), "cdrs"))
    store.close()


def multiply(connection: sqlite3.Connection, calls: int) -> None:
    """Write rows of rated calls and debits again until there are enough, in the order of the month."""
    for topic in ("rated-calls", "debits"):
        rows = connection.execute(f'SELECT tenant, key, value FROM "{topic}" ORDER BY offset').fetchall()
        times = calls // RATED
        many = (
            (tenant, f"{key}-{n}", _renamed(key, n, value)) for tenant, key, value in rows for n in range(times)
        )
        connection.execute(f'DELETE FROM "{topic}"')
        while part := list(islice(many, 10_000)):
            connection.executemany(f'INSERT INTO "{topic}" (tenant, key, value) VALUES (?, ?, ?)', part)
    connection.commit()


def _renamed(key: str, number: int, value: bytes) -> bytes:
    return bytes(value).replace(f'"{key}"'.encode(), f'"{key}-{number}"'.encode())


def milliseconds(question: Callable[[], object]) -> dict[str, float]:
    """The median and the slowest of some repetitions, and the median of what the processor worked for it."""
    found, worked = [], []
    for _ in range(REPEATS):
        began, cpu = time.perf_counter(), time.process_time()
        question()
        found.append((time.perf_counter() - began) * 1_000)
        worked.append((time.process_time() - cpu) * 1_000)
    return {
        "p50": round(statistics.median(found), 2),
        "max": round(max(found), 2),
        "cpu": round(statistics.median(worked), 2),
    }


def measured(folder: Path, calls: int) -> dict[str, object]:
    """Filling and asking a store of so many calls."""
    path = folder / "rater.db"
    write_store(path, SPEC)
    with sqlite3.connect(path) as connection:
        multiply(connection, calls)
    connection.close()
    reader = open_reader(path)
    lookup = Lookup(reader)
    began, worked = time.perf_counter(), time.process_time()
    rows = lookup.catch_up()
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - worked
    limit = rows / plain_copy(reader, folder / "plain.db")
    tenant = reader.tenants()[0]
    found = asked(lookup, tenant)
    size = lookup_path(path).stat().st_size
    lookup.close()
    reader.close()
    return {
        "calls": calls,
        "rows": rows,
        "rows_per_s": round(rows / seconds),
        "rows_per_cpu_s": round(rows / cpu_s),
        "limit_rows_per_cpu_s": round(limit),
        "file_mb": round(size / 1e6, 1),
        "store_mb": round(path.stat().st_size / 1e6, 1),
        "ms": found,
    }


def plain_copy(reader: Reader, path: Path) -> float:
    """CPU seconds to read all records, and to write eleven numbers for each."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE plain (a, b, c, d, e, f, g, h, i, j, k, PRIMARY KEY (a, b, c)) WITHOUT ROWID")
    began = time.process_time()
    for topic in TOPICS:
        rows = reader.connection.execute(f'SELECT offset, tenant, key, value FROM "{topic}" ORDER BY offset')
        while part := rows.fetchmany(10_000):
            connection.executemany(
                "INSERT OR REPLACE INTO plain VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(1, offset, *(len(value),) * 9) for offset, _, _, value in part],
            )
    connection.commit()
    connection.close()
    return time.process_time() - began


def asked(lookup: Lookup, tenant: str) -> dict[str, dict[str, float]]:
    """Milliseconds of a page of 100 with each filter, and of the sums."""
    newest = lookup.calls(tenant, CallFilter(), None, 1_000).calls
    charged: RatedCall = next(call for call, _ in newest if call.charge != "0" and call.user and call.destination)
    day = datetime(2025, 3, 12, tzinfo=UTC)
    filters = {
        "none": CallFilter(),
        "user": CallFilter(user=charged.user),
        "day": CallFilter(since=day, until=day.replace(day=13)),
        "first_day": CallFilter(since=START, until=START.replace(day=2)),
        "half_month": CallFilter(since=START, until=START.replace(day=16)),
        "charge": CallFilter(charge=parse_ledger(charged.charge)),
        "destination": CallFilter(destination=charged.destination),
        "type": CallFilter(type=CallType.USER_OUT_FORWARDING),
        "flag": CallFilter(flag="premium"),
        "nothing_fits": CallFilter(destination=charged.destination, type=CallType.INTERNAL, until=START),
        "rarely_fits": CallFilter(destination=charged.destination, type=CallType.INTERNAL),
        "user_and_day": CallFilter(user=charged.user, since=day, until=day.replace(day=13)),
    }
    found = {
        f"calls_{name}": milliseconds(lambda wanted=wanted: lookup.calls(tenant, wanted, None, 100))  # type: ignore[misc]
        for name, wanted in filters.items()
    }
    for by in ("day", "destination", "user"):
        found[f"spend_{by}"] = milliseconds(lambda by=by: lookup.spend(tenant, by, START, END))  # type: ignore[misc]
    found["debits"] = milliseconds(lambda: lookup.debits(tenant, "2025-03", None, 100))
    found["balance_at"] = milliseconds(lambda: lookup.balance_at(tenant, day))
    found["balance_series_90"] = milliseconds(lambda: lookup.balance_series(tenant, START, END, 90))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=[100_000, 1_000_000])
    args = parser.parse_args()
    for calls in args.calls:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measured(Path(folder), calls)), flush=True)


if __name__ == "__main__":
    main()
