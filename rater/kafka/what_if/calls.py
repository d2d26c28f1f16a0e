"""The calls of each commit: as switches gave them where `cdrs` keeps them, else as `rated-calls` says them.

`cdrs` keeps a month, `rated-calls` more than a year.  What was refused stands in `cdrs` alone, so there it is tried
again; of what was only rated, the time of records that came twice is not known either (A37).
"""

import msgspec

from rater.core import RatedCall, call_as_rated
from rater.engine.batch import Record
from rater.kafka.partition_reader import Tape
from rater.kafka.records import records_of
from rater.wire.commits import Commit

_calls = msgspec.json.Decoder(RatedCall).decode


class CallTape:
    """The calls of a partition's commits, one commit after the other."""

    def __init__(self, cdrs: Tape, first_cdr: int, rated: Tape, grace_hours: int) -> None:
        """Of `cdrs` all from `first_cdr` on are kept; `rated` begins at the first commit that is asked for."""
        self._cdrs, self._first_cdr = cdrs, first_cdr
        self._rated, self._grace_hours = rated, grace_hours

    async def of(self, commit: Commit) -> list[Record]:
        """The calls of the next commit."""
        if commit.cdrs_first >= self._first_cdr:
            return records_of(await self._cdrs.until(commit.cdrs_next), commit.skipped)
        # Of a commit of which a record is deleted all calls are taken from their ratings, so that none comes twice.
        await self._cdrs.until(commit.cdrs_next)
        return await self._as_rated(commit.cdrs_next)

    async def _as_rated(self, before: int) -> list[Record]:
        """The calls that were rated of records before an offset."""
        found: list[Record] = []
        while (record := await self._rated.peek()) is not None:
            value = record.value or b""
            call = _calls(value)
            if call.source.topic == "cdrs":  # a new rating is a command's, which is kept
                if call.source.offset >= before:
                    break
                found.append(Record("cdr", call.source, value, call_as_rated(call, self._grace_hours)))
            await self._rated.next()
        return found
