"""What-if over a store: a generated month is replayed with another price list.  Prints JSON.

`cpu_s_per_million` is what the processor worked for a million inputs of the store: to read what was, and to replay
what would be.  Its limits of the same run: `replay` applies the same inputs to the same state and drops what they
cause, `reading` reads the inputs and what was, decodes them, and does nothing else.  `peak_mb` is the memory of the
process.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

from benchmarks.reading import write_store
from rater.core import RatingSettings, Rules, Tariffs
from rater.dev.demo.rates import BUNDLED
from rater.dev.generate import Spec
from rater.embedded.base_entities import BaseEntities
from rater.embedded.kept_inputs import base_of, kept_batches, records_of
from rater.embedded.store import open_reader
from rater.embedded.what_if import compare
from rater.engine.batch import input_of, run_batch
from rater.engine.counted import read_call
from rater.engine.substitutes import Substitutes
from rater.files.deck_csv import read_deck
from rater.ops.garbage_collection import expect_long_lives

OTHER = BUNDLED.with_name("other-rates.csv")


def compared(store: Path, month: str) -> int:
    """The comparison; how many inputs there were."""
    return compare(store, Substitutes(period=month, deck=read_deck(OTHER))).records


def replayed(store: Path, month: str) -> int:
    """The same inputs applied to the same state."""
    del month
    count = 0
    with closing(open_reader(store)) as reader:
        base = base_of(reader.connection)
        assert base is not None
        entities = BaseEntities(reader.connection, base)
        rules = Rules(RatingSettings(), Tariffs.of(reader.decks()))
        for _, batch in kept_batches(reader.connection):
            records = records_of(batch)
            done = run_batch(entities, rules, records, write=lambda _: None, part_records=1_000)
            entities.merge(done.state.changes(), done.state.gone)
            count += len(records)
    return count


def read(store: Path, month: str) -> int:
    """The same inputs, and the calls as they were, decoded."""
    del month
    count = 0
    with closing(open_reader(store)) as reader:
        for _, batch in kept_batches(reader.connection):
            count += len([input_of(record) for record in records_of(batch)])
        for _, value in reader.topic("rated-calls"):
            read_call(value)
    return count


def measured(work: Callable[[Path, str], int], store: Path, month: str) -> dict[str, float]:
    """In a process of its own: seconds of the processor, of the clock, and the peak memory."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (work, store, month))


def _measure(work: Callable[[Path, str], int], store: Path, month: str) -> dict[str, float]:
    expect_long_lives()
    began, cpu = time.perf_counter(), time.process_time()
    count = work(store, month)
    worked, seconds = time.process_time() - cpu, time.perf_counter() - began
    return {
        "inputs": count,
        "cpu_s_per_million": round(worked / count * 1e6, 1),
        "s_per_million": round(seconds / count * 1e6, 1),
        "peak_mb": _peak_mb(),
    }


def _peak_mb() -> int:
    """Of this process alone; what getrusage says may be its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--users", type=int, default=5_000)
    options = parser.parse_args()
    spec = Spec(tenants=options.tenants, users=options.users, calls=options.calls, funds="1000000")
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "rater.db"
        write_store(store, spec)
        found = {
            name: measured(work, store, spec.month)
            for name, work in (("what_if", compared), ("replay", replayed), ("reading", read))
        }
    print(json.dumps({"calls": options.calls, "tenants": options.tenants, "users": options.users, **found}))


if __name__ == "__main__":
    main()
