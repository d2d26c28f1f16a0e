"""Price lists compared: `rater what-if` for a month of one tenant.  It is begun, and its outcome looked at later.

The last KEPT_MAX outcomes are kept by this process.  A comparison that fails says why in the words of the command.
"""

import asyncio
import contextlib
import secrets
import zlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rater.files.what_if import WhatIf, read_what_if
from rater.serve.problems import ProblemError
from rater.serve.reading.own_processes import Ended, OwnProcesses
from rater.wire.errors import Exit

#: Outcomes that are kept, of all tenants; the oldest is dropped.
KEPT_MAX = 20
#: After so many seconds a comparison is given up.
COMPARED_WITHIN_S = 300.0
_FILE = "price-list.csv"


class Wanted(NamedTuple):
    """A tenant's month (`YYYY-MM`), and what is substituted.

    `deck` is the content of a CSV file, or a known version, or empty; `instead` a licence, and what its holders
    have instead of it.
    """

    tenant: str
    period: str
    deck: bytes | str
    currency: str
    instead: tuple[str, str] | None = None


class Comparison:
    """One that was begun: it runs until there is an `output`, or a `problem`."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.problem: str | None = None
        self._output: bytes | None = None
        self._ended = asyncio.Event()

    @property
    def runs(self) -> bool:
        """Whether there is no outcome yet."""
        return self._output is None and self.problem is None

    def found(self) -> WhatIf:
        """The figures; some seconds of work for many users."""
        assert self._output is not None, "it has ended well"
        return read_what_if(zlib.decompress(self._output))

    async def wait(self, within_s: float) -> None:
        """Wait for the outcome, but not for longer than this."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), within_s)

    def note_end(self) -> None:
        """Who waits goes on."""
        self._ended.set()

    def end(self, ended: Ended) -> None:
        """Keep the outcome."""
        if ended.code in (Exit.OK, Exit.REFUSED) and ended.output:
            self._output = zlib.compress(ended.output, 1)
        else:
            self.problem = ended.message or f"rater what-if ended with {ended.code}"


class Comparisons:
    """The comparisons of a server; everything in the event loop."""

    def __init__(self, processes: OwnProcesses, where: Sequence[str]) -> None:
        """`where` are the options that say what is replayed: a store, or brokers."""
        self._processes, self._where = processes, tuple(where)
        self._kept: dict[str, Comparison] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, wanted: Wanted) -> str:
        """Begin one; its id, which nobody can guess."""
        if len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        id = secrets.token_hex(16)
        self._kept[id] = comparison = Comparison(wanted)
        task = asyncio.create_task(self._run(comparison))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return id

    def of(self, tenant: str, id: str) -> Comparison | None:
        """The comparison of a tenant with an id; None: there is none, or it was dropped."""
        found = self._kept.get(id)
        return found if found is not None and found.wanted.tenant == tenant else None

    async def _run(self, comparison: Comparison) -> None:
        wanted = comparison.wanted
        deck = wanted.deck
        if isinstance(deck, bytes):
            comparison.wanted = wanted._replace(deck=b"")  # what is kept has no file of megabytes
        with TemporaryDirectory() as folder:
            if isinstance(deck, bytes):
                file = Path(folder, _FILE)
                await asyncio.to_thread(file.write_bytes, deck)
                deck = str(file)
            words = ["what-if", f"--period={wanted.period}", f"--tenant={wanted.tenant}"]
            words += [f"--deck={deck}"] if deck else []
            words += [f"--instead={'='.join(wanted.instead)}"] if wanted.instead is not None else []
            words += [f"--currency={wanted.currency}", "--format=json", *self._where]
            try:
                comparison.end(await self._processes.run(words, COMPARED_WITHIN_S))
            except ProblemError as wrong:
                comparison.problem = wrong.detail
            except Exception as wrong:
                comparison.problem = f"it could not be computed: {type(wrong).__name__}"
                raise
            finally:
                comparison.note_end()
