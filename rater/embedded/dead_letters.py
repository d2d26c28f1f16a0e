"""The dead letters of a store."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from rater.core import Outcome, RejectedCdr, Source, is_whole
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Reader, Store, open_reader
from rater.engine.batch import Record, envelope_of
from rater.files.read_again import reader_of
from rater.wire.codec import encode_input
from rater.wire.dead_letters import (
    SETTLED,
    DlqAudit,
    Letter,
    LetterAction,
    acceptances,
    audit_of,
    may_be_replayed,
    raw_bytes,
    with_history,
)

_letters = msgspec.json.Decoder(RejectedCdr)
_ACCEPTED = (Outcome.RATED, Outcome.CORRECTED, Outcome.DUPLICATE)


class StoreLetters:
    """See LetterBox; the store is opened for as long as each question takes."""

    def __init__(self, path: Path, rater_of: Callable[[Store], EmbeddedRater]) -> None:
        """`rater_of` makes the rater that rates again."""
        self._path = path
        self._rater_of = rater_of

    def letters(self) -> list[Letter]:
        """See LetterBox."""
        reader = open_reader(self._path)
        try:
            return letters_of(reader)
        finally:
            reader.close()

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
        store = Store(self._path)
        try:
            letters = [one for one in letters if is_whole(one.letter) and may_be_replayed(one.letter)]
            rater = self._rater_of(store)

            def accepted_at(tenant: str) -> datetime:
                account = store.account(tenant)
                return accept_at or (account.clock if account is not None else at)

            for command in acceptances(letters, by, accepted_at) if accept else ():
                rater.apply(command, at if accept_at is not None else None)
            records = (
                (letter.letter.id, record_again(number, letter.letter, at)) for number, letter in enumerate(letters)
            )
            outcomes = rater.replay(records)
            audits = [
                audit_of(letter, LetterAction.REPLAYED, by, at, accepted=outcomes[letter.letter.id] in _ACCEPTED)
                for letter in letters
            ]
            store.note(audits)
        finally:
            store.close()
        return audits

    def drop(self, letters: Sequence[Letter], by: str, at: datetime, note: str) -> list[DlqAudit]:
        """See LetterBox."""
        store = Store(self._path)
        try:
            audits = [audit_of(letter, LetterAction.DROPPED, by, at, note=note) for letter in letters]
            store.note(audits)
        finally:
            store.close()
        return audits


def letters_of(reader: Reader) -> list[Letter]:
    """Without those that were accepted by a replay that ended before it could be noted."""
    accepted = reader.replayed()
    decoded = [(_letters.decode(value), None) for _, value in reader.topic("rejected-cdrs")]
    letters = with_history(decoded, reader.audits())
    return [letter for letter in letters if letter.letter.id not in accepted or letter.state in SETTLED]


def with_what_was_done(reader: Reader, letters: Sequence[RejectedCdr], audits: Sequence[DlqAudit]) -> list[Letter]:
    """Dead letters with their history, without those that a replay accepted that ended before it was noted."""
    found = with_history([(letter, None) for letter in letters], audits)
    return [one for one in found if one.state in SETTLED or not reader.was_replayed(one.letter.id)]


def accepted_and_again(letter: Letter, by: str, at: datetime, accept_at: datetime | None) -> list[Record]:
    """The records of a replay: of a held one the command that lets it through at `accept_at`, then its bytes."""
    commands = acceptances([letter], by, lambda _: accept_at) if accept_at is not None else ()
    accepted = [
        Record("command", Source("people", 0, number), encode_input(command), command)
        for number, command in enumerate(commands)
    ]
    return [*accepted, record_again(len(accepted), letter.letter, at)]


def record_again(number: int, letter: RejectedCdr, at: datetime) -> Record:
    """The record of a letter; it arrives when it is replayed: clocks that run ahead stay rejected (A43)."""
    raw = raw_bytes(letter)
    envelope = envelope_of(letter)
    kind, decode = reader_of(envelope)
    return Record(kind, Source("dlq", 0, number), raw, decode(raw) if decode else None, envelope, at)
