"""Whether the topics that a partition reads are still those that it has read: checked when it is acquired.

Positions are offsets of one topic.  In a topic that was deleted and created again they mean other records, and what
retention deleted before it was rated comes no more; going on would lose calls silently.  So the partition
stops, until an operator gives up what is gone: `rater partition accept-new-topic`, `rater partition accept-loss`.
The decision is a record of `dlq-audit`; the rating task reads on from there and writes it into a commit (`Gap`).
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from rater.core import NO_TENANT, Source
from rater.kafka.at_fault import decisions_of, skips_of
from rater.kafka.changelog import Meta
from rater.kafka.port import KeptRange, PartitionLog
from rater.wire.commits import Gap, part_of
from rater.wire.dead_letters import DlqAudit, LetterAction
from rater.wire.errors import Exit, RaterError

INPUTS = ("commands", "cdrs")
#: Without them calls that come again would be rated again.
DEDUPE = "rated-calls"
#: The topics whose ids count.
IDENTIFIED = (*INPUTS, DEDUPE)
COMMANDS = {
    LetterAction.TOPIC_ACCEPTED: "rater partition accept-new-topic",
    LetterAction.LOSS_ACCEPTED: "rater partition accept-loss",
}


class Missing(msgspec.Struct, frozen=True):
    """What is not there any more in one topic of a partition, and the decision that would read on.

    `next_is` is the offset that would have been read next, `goes_on_at` the first that is there to be read.
    """

    topic: str
    action: LetterAction
    next_is: int
    goes_on_at: int
    id: str
    said: str


class InputsGoneError(RaterError):
    """A partition must not go on before an operator has decided."""

    def __init__(self, partition: int, missing: Missing) -> None:
        self.missing = missing
        super().__init__(
            f"{missing.topic}[{partition}]: {missing.said}; nothing was rated since. {ask_for(partition, missing)}",
            Exit.FAILED,
        )


class Inputs(msgspec.Struct, frozen=True):
    """Where reading goes on, in which topics, what was given up for it, and which records are passed over."""

    positions: dict[str, int]
    topics: dict[str, str]
    gaps: tuple[Gap, ...]
    skips: frozenset[Source]


def ask_for(partition: int, missing: Missing) -> str:
    """The command that gives up what is missing."""
    place = f"--partition {partition} --topic {missing.topic}"
    return f"To give up what is gone and go on: {COMMANDS[missing.action]} {place} --note WHY"


def missing_in(meta: Meta, kept: Mapping[str, KeptRange]) -> list[Missing]:
    """What is not there any more, in a partition that stands as `meta` says."""
    found = []
    for topic, there in kept.items():
        before, position = meta.topics.get(topic, ""), meta.positions.get(topic)
        if before and there.id and before != there.id:
            said = (
                f"the topic was deleted and created again (its id was {before}, is {there.id}),"
                + (" so it is not known any more which calls were rated" if topic == DEDUPE else "")
                + (f" and positions of the former one, {position}, mean nothing in it" if topic != DEDUPE else "")
            )
            action, next_is = LetterAction.TOPIC_ACCEPTED, position or 0
        elif position is None or topic not in INPUTS:
            continue
        elif position > there.end:
            said = f"offset {position} is next and the topic ends at {there.end}: it was created again, or cut"
            action, next_is = LetterAction.TOPIC_ACCEPTED, position
        elif position < there.first:
            said = (
                f"offsets {position} to {there.first - 1} were deleted before they were rated"
                " (retention, or kafka-delete-records)"
            )
            action, next_is = LetterAction.LOSS_ACCEPTED, position
        else:
            continue
        found.append(Missing(topic, action, next_is, there.first, there.id, said))
    return found


async def inputs_to_read(log: PartitionLog, meta: Meta) -> Inputs:
    """Where to read on; InputsGoneError for what is missing and nobody has given up."""
    await _state_is_there(log, meta)
    decisions = await decisions_of(log)
    kept = await log.kept(IDENTIFIED)
    positions, gaps = dict(meta.positions), []
    for missing in missing_in(meta, kept):
        decision = next((one for one in reversed(decisions) if _gives_up(one, missing)), None)
        if decision is None:
            raise InputsGoneError(log.partition, missing)
        gaps.append(_gap(missing, decision))
        if missing.topic in INPUTS:
            positions[missing.topic] = missing.goes_on_at
    topics = {topic: there.id for topic, there in kept.items() if there.id}
    return Inputs(positions, topics, tuple(gaps), skips_of(decisions))


def decision(partition: int, missing: Missing, by: str, at: datetime, note: str) -> DlqAudit:
    """What an operator decided about one topic of a partition: exactly what was shown is given up."""
    return DlqAudit(
        tenant=NO_TENANT,
        id=f"{missing.action.value}-{missing.topic}-{partition}-{missing.next_is}-{missing.goes_on_at}",
        action=missing.action,
        by=by,
        at=at,
        note=note,
        source=Source(missing.topic, partition, missing.next_is),
        goes_on_at=missing.goes_on_at,
        topic_id=missing.id or None,
    )


def _gives_up(one: DlqAudit, missing: Missing) -> bool:
    """Whether a decision is about just this: not about less than is missing by now."""
    return (
        one.action is missing.action
        and one.source is not None
        and (one.source.topic, one.source.offset) == (missing.topic, missing.next_is)
        and one.goes_on_at == missing.goes_on_at
        and (one.topic_id or "") == missing.id
    )


def _gap(missing: Missing, decision: DlqAudit) -> Gap:
    renewed = missing.action is LetterAction.TOPIC_ACCEPTED
    return Gap(
        topic=missing.topic,
        next_was=missing.next_is,
        goes_on_at=missing.goes_on_at,
        by=decision.by,
        at=decision.at,
        topic_id=(missing.id or "unknown") if renewed else None,
        note=decision.note,
    )


async def _state_is_there(log: PartitionLog, meta: Meta) -> None:
    """A partition that has commits has a state; without it everything would be rated again, from nothing."""
    if meta.commits:
        return
    async for records in log.read("commits", None):
        if any(part_of(record.key) is None for record in records):
            raise RaterError(
                f"state[{log.partition}]: is empty, and commits[{log.partition}] is not: state was"
                " deleted or created again; restore it from a backup of the cluster, or begin a deployment anew"
                " under another --prefix",
                Exit.FAILED,
            )
