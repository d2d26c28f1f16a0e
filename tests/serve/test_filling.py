"""The lookup is filled before anybody asks, so that the first answer does not wait for all records."""

import asyncio
from contextlib import closing
from pathlib import Path

from rater.dev.generate import Spec
from rater.embedded.lookup import Lookup
from rater.embedded.store import open_reader
from rater.serve.reading.desks import Desks
from tests.embedded.ledgers import write_ledger
from tests.waiting import until


def behind(path: Path) -> int:
    """How many records of the store are not in its lookup yet."""
    with closing(open_reader(path)) as reader, closing(Lookup(reader)) as lookup:
        return lookup.behind()


def test_records_are_looked_up_as_they_come(tmp_path: Path) -> None:
    """150 calls were rated, and nobody has asked for one of them."""
    path = tmp_path / "rater.db"
    write_ledger(path, Spec(tenants=2, users=6, calls=150, funds="60"))
    assert behind(path) > 150

    async def serve() -> None:
        desks = Desks(path)
        desks.keep_filled()
        await asyncio.to_thread(until, lambda: behind(path) == 0, "the lookup to be filled")
        await desks.close()

    asyncio.run(serve())
