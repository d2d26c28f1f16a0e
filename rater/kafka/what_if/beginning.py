"""Where a replay of one partition begins: at a snapshot among its commits, or at its first input.

The latest snapshot before the month serves; else the first commit.  Where the first inputs are deleted by now, it
is the first snapshot whose later inputs are all kept, of calls their ratings at least: calls of the month that were
rated before it are left out.  A snapshot that does not fit the digest in its commit is discarded, and said.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

import msgspec

from rater.core import RULES, Account, Memory
from rater.kafka.port import Consumed
from rater.kafka.snapshot import Snapshot
from rater.wire.commits import Commit

_commits = msgspec.json.Decoder(Commit)


class Beginning(msgspec.Struct, frozen=True):
    """The state before a commit, without its live calls; `outputs` are the positions of the outputs then."""

    sequence: int
    state: Memory
    outputs: Mapping[str, int]
    #: The positions of its inputs.
    inputs: Mapping[str, int]


class Found(msgspec.Struct, frozen=True):
    """Where to begin, None if nothing that is kept serves; and the commits whose snapshots were discarded."""

    beginning: Beginning | None
    discarded: list[int]


async def find_beginning(
    commits: AsyncIterator[Sequence[Consumed]], first: Mapping[str, int], since: datetime
) -> Found:
    """Look through the commits of a partition; `first` are the first offsets that topics keep.

    `since` is the first instant of the month.
    """
    empty = Beginning(1, Memory(), {}, {"commands": 0, "cdrs": 0})
    best = empty if not first["commits"] and _are_kept(empty.inputs, empty.outputs, first) else None
    discarded, snapshot, at_first = [], Snapshot(), bool(first["commits"])
    async for records in commits:
        for record in records:
            if snapshot.add(record):
                continue
            commit = _commits.decode(record.value or b"")
            if _is_another_history(commit):
                best = None
            if commit.migrated is not None:
                state = snapshot.memory(commit.migrated)
                if state is None:
                    # its first parts may be deleted
                    discarded += [] if at_first else [commit.sequence]
                elif _serves(commit, first) and (best is None or not _has_begun(state, since)):
                    best = _at(commit, state)
            at_first = False
    return Found(best, discarded)


def _is_another_history(commit: Commit) -> bool:
    """Whether what was before cannot be replayed: other rules, topics that were moved or created again."""
    renewed = any(gap.topic_id is not None for gap in commit.gaps)
    return commit.rules != RULES or commit.moved is not None or renewed


def _serves(commit: Commit, first: Mapping[str, int]) -> bool:
    """Whether all later inputs are kept, and where the outputs ended is known."""
    kept = _are_kept(_inputs(commit), commit.outputs, first)
    return kept and commit.rules == RULES and bool(commit.outputs)


def _are_kept(inputs: Mapping[str, int], outputs: Mapping[str, int], first: Mapping[str, int]) -> bool:
    """Whether all inputs from these positions on are kept, the calls at least as they were rated."""
    calls = inputs["cdrs"] >= first["cdrs"] or outputs.get("rated-calls", 0) >= first["rated-calls"]
    return calls and inputs["commands"] >= first["commands"]


def _has_begun(state: Memory, since: datetime) -> bool:
    """Whether an input of the month was applied: the clock of its tenant stands later."""
    return any(isinstance(one, Account) and one.clock > since for one in state.entities["account"].values())


def _at(commit: Commit, state: Memory) -> Beginning:
    return Beginning(commit.sequence, state, commit.outputs, _inputs(commit))


def _inputs(commit: Commit) -> dict[str, int]:
    return {"commands": commit.commands_first, "cdrs": commit.cdrs_first}
