"""The dead letters of a deployment on Kafka.

A replay publishes the bytes again to the topic they came from, so they go through the same checks and the same
deduplication as any record; doing it twice changes nothing.  The outcome is read from what the rating task
wrote: an output that has the new record as its source, or a commit in which nothing was refused.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec
from aiokafka import AIOKafkaProducer

from rater.core import Outcome, RejectedCdr, Source, hash_of
from rater.engine.batch import Record, envelope_of
from rater.files.read_again import reader_of
from rater.kafka.batch_publisher import publish
from rater.kafka.client import RETRY_BACKOFF_MS, read_partition, record_at
from rater.kafka.connect import WRITE, connection, reachable
from rater.kafka.consume import ends_of, read_topic
from rater.kafka.messages import message_of
from rater.kafka.publisher import partition_of
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import MESSAGE_BYTES_MAX, partitions_of
from rater.wire.codec import claimed_tenant, encode_input
from rater.wire.commits import Commit, part_of
from rater.wire.dead_letters import (
    DlqAudit,
    Letter,
    LetterAction,
    acceptances,
    audit_of,
    may_be_replayed,
    raw_bytes,
    with_history,
)

#: Where an accepted record leaves its mark, with the topics that it came from: a call may be rated by a command.
_MARKS = {"rated-calls": ("cdrs", "commands"), "account-events": ("commands",)}
_REFUSING = frozenset({Outcome.REJECTED, Outcome.CONFLICTING_DUPLICATE})
_LOOK_AGAIN_S = 0.3

_letter = msgspec.json.Decoder(RejectedCdr)
_audit = msgspec.json.Decoder(DlqAudit)
_commit = msgspec.json.Decoder(Commit)
_Answer = TypeVar("_Answer")


class _Sourced(msgspec.Struct, frozen=True):
    """What every output says about its cause."""

    source: Source


_sourced = msgspec.json.Decoder(_Sourced)


class Talk(Protocol):
    """Runs a conversation with the cluster to its end."""

    def __call__(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        """The answer; RaterError for what a person can act on."""


class KafkaLetters:
    """See LetterBox."""

    def __init__(self, settings: KafkaSettings, talk: Talk, wait_s: float) -> None:
        """`wait_s` is how long a replay is followed until its outcome counts as unknown."""
        self._settings = settings
        self._talk = talk
        self._wait_s = wait_s

    def letters(self) -> list[Letter]:
        """See LetterBox."""
        return self._talk(_letters_of(self._settings))

    def replay(
        self,
        letters: Sequence[Letter],
        by: str,
        at: datetime,
        *,
        accept: bool = False,
        accept_at: datetime | None = None,
    ) -> list[DlqAudit]:
        """See LetterBox."""
        accept_at = (accept_at or at) if accept else None
        return self._talk(_replay(self._settings, letters, by, at, self._wait_s, accept_at))

    def drop(self, letters: Sequence[Letter], by: str, at: datetime, note: str) -> list[DlqAudit]:
        """See LetterBox."""
        audits = [
            DlqAudit(
                tenant=letter.letter.tenant,
                id=letter.letter.id,
                action=LetterAction.DROPPED,
                by=by,
                at=at,
                note=note,
            )
            for letter in letters
        ]
        self._talk(_note(self._settings, audits))
        return audits


async def _letters_of(settings: KafkaSettings) -> list[Letter]:
    audits = [
        _audit.decode(record.value or b"")
        async for records in read_topic(settings, "dlq-audit")
        for record in records
    ]
    refused = [
        (_letter.decode(record.value or b""), datetime.fromtimestamp(record.published_ms // 1000, UTC))
        async for records in read_topic(settings, "rejected-cdrs")
        for record in records
    ]
    return with_history(sorted(refused, key=itemgetter(1)), audits)


async def _note(settings: KafkaSettings, audits: Sequence[DlqAudit]) -> None:
    await publish(settings, [("dlq-audit", audit.tenant, msgspec.json.encode(audit)) for audit in audits])


async def _replay(
    settings: KafkaSettings,
    letters: Sequence[Letter],
    by: str,
    at: datetime,
    wait_s: float,
    accept_at: datetime | None,
) -> list[DlqAudit]:
    """Publish first, note afterwards: what is interrupted between the two is replayed again, as a duplicate.

    A held record is published once its acceptance was committed, so that it cannot come before it.
    """
    allowed = [letter for letter in letters if may_be_replayed(letter.letter)]
    found = [(letter, await _whole(settings, letter.letter)) for letter in allowed]
    whole = [(letter, raw) for letter, raw in found if raw is not None]
    if not whole:
        return []
    held = [letter for letter, _ in whole] if accept_at is not None else []
    if accept_at is not None and (commands := acceptances(held, by, lambda _: accept_at)):
        before = {topic: await ends_of(settings, topic) for topic in ("commits", *_MARKS)}
        given = [_Given("commands", command.tenant, encode_input(command)) for command in commands]
        await _Followed(settings, before, await _publish(settings, given)).outcomes(wait_s)
    before = {topic: await ends_of(settings, topic) for topic in ("commits", *_MARKS)}
    places = await _publish(settings, [_given(letter.letter, raw) for letter, raw in whole])
    accepted = await _Followed(settings, before, places).outcomes(wait_s)
    audits = [
        audit_of(letter, LetterAction.REPLAYED, by, at, accepted=accepted.get(place))
        for (letter, _), place in zip(whole, places, strict=True)
    ]
    await _note(settings, audits)
    return audits


class _Given(NamedTuple):
    """A record to publish: where, whose, and its bytes."""

    topic: str
    owner: str
    raw: bytes


def _given(letter: RejectedCdr, raw: bytes) -> _Given:
    """The bytes of a letter, for the topic that they came from; a switch's record is mapped again before."""
    if letter.mapping is not None:
        envelope = envelope_of(letter)
        _, decode = reader_of(envelope)
        value = decode(raw) if decode is not None else None
        record = Record("cdr", letter.source, raw, value, envelope)
        topic, owner, published = message_of(record)[0]
        return _Given(topic, owner, published)
    return _Given(letter.source.topic, claimed_tenant(raw) or letter.claimed_tenant or letter.tenant, raw)


async def _whole(settings: KafkaSettings, letter: RejectedCdr) -> bytes | None:
    """All that was refused; of a cut letter as it stands in the input topic, None when it is not kept there."""
    if not letter.raw_cut:
        return raw_bytes(letter)
    place = letter.source
    record = await record_at(settings, place.topic, place.partition, place.offset)
    raw = record.value if record is not None else None
    return raw if raw is not None and hash_of(raw) == letter.raw_hash else None


async def _publish(settings: KafkaSettings, given: Sequence[_Given]) -> list[Source]:
    """Publish records; where each of them is now."""
    counts = {topic: await partitions_of(settings, topic, WRITE) for topic in {record.topic for record in given}}
    producer = AIOKafkaProducer(
        **connection(settings),
        enable_idempotence=True,
        max_request_size=MESSAGE_BYTES_MAX,
        retry_backoff_ms=RETRY_BACKOFF_MS,
    )
    sent = []
    async with reachable(settings, producer, WRITE):
        for topic, owner, raw in given:
            partition = partition_of(owner, counts[topic])
            stored = await producer.send(settings.topic(topic), raw, key=owner.encode(), partition=partition)
            sent.append((topic, stored))
        return [Source(topic, (place := await stored).partition, place.offset) for topic, stored in sent]


class _Followed:
    """The outcomes of records that were published just now."""

    def __init__(
        self, settings: KafkaSettings, before: dict[str, dict[int, int]], places: Sequence[Source]
    ) -> None:
        self._settings = settings
        self._before = before
        self._places = places

    async def outcomes(self, wait_s: float) -> dict[Source, bool]:
        """Whether each was accepted, as far as the rating task has applied them within the time."""
        deadline = time.monotonic() + wait_s
        while True:
            commits = await self._commits()
            if all(_commit_of(commits, place) for place in self._places) or time.monotonic() > deadline:
                break
            await asyncio.sleep(_LOOK_AGAIN_S)
        await asyncio.sleep(_LOOK_AGAIN_S)  # a transaction becomes visible topic by topic
        marks = await self._marks()
        found = {}
        for place in self._places:
            if (commit := _commit_of(commits, place)) is not None:
                found[place] = place in marks or _REFUSING.isdisjoint(commit.outcomes)
        return found

    async def _commits(self) -> dict[int, list[Commit]]:
        return {
            partition: [_commit.decode(value) async for value in self._values("commits", partition)]
            for partition in self._partitions()
        }

    async def _marks(self) -> set[Source]:
        """The sources of what was written since; an account event about a call is no part of its rating."""
        return {
            source
            for topic, origins in _MARKS.items()
            for partition in self._partitions()
            async for value in self._values(topic, partition)
            if (source := _sourced.decode(value).source).topic in origins
        }

    def _partitions(self) -> list[int]:
        return sorted({place.partition for place in self._places})

    async def _values(self, topic: str, partition: int) -> AsyncIterator[bytes]:
        async for records in read_partition(self._settings, topic, partition, self._before[topic][partition]):
            for record in records:
                if topic != "commits" or part_of(record.key) is None:
                    yield record.value or b""


def _commit_of(commits: dict[int, list[Commit]], place: Source) -> Commit | None:
    """The commit that consumed a record."""
    for commit in commits[place.partition]:
        first, beyond = (
            (commit.cdrs_first, commit.cdrs_next)
            if place.topic == "cdrs"
            else (commit.commands_first, commit.commands_next)
        )
        if first <= place.offset < beyond:
            return commit
    return None
