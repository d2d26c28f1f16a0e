"""The outcome of a command that was published, by the outputs of the rating task: applied, refused, or neither yet.

An order is stored when the brokers have it; what it did is in the topics, a moment later in the replica.
"""

from datetime import datetime
from typing import NamedTuple

import msgspec

from rater.core import AnyCommand, RatingSettings, Reason, Refusal, RejectedCdr, command_key, letter_id, letter_key
from rater.embedded.store import Reader
from rater.engine.trial import tried
from rater.ops.metrics.labels import RecordResult
from rater.serve.results import Result, refused
from rater.wire.codec import decode_command

_letters = msgspec.json.Decoder(RejectedCdr)


class Followed(NamedTuple):
    """A command as it was published, and the ids of the dead letters that it may become: one for each reason."""

    command: AnyCommand
    letters: frozenset[str]
    arrived_at: datetime

    @classmethod
    def of(cls, raw: bytes, arrived_at: datetime) -> "Followed":
        """The command of these bytes."""
        command = decode_command(raw)
        assert not isinstance(command, Refusal), "an order is made of a command that was encoded"
        letters = frozenset(letter_id(command.tenant, raw, reason) for reason in Reason)
        return cls(command, letters, arrived_at)

    def applied(self, reader: Reader, settings: RatingSettings, same: RecordResult) -> Result | None:
        """The result where the id was applied: `same`, but other money under the same id is refused (A45)."""
        if reader.load("seen", command_key(self.command.tenant, self.command.id)) is None:
            return None
        trial = tried(reader, settings, (), self.command, self.arrived_at)
        return Result(result=same) if trial.refused is None else refused(trial.refused, None)

    def is_refused(self, reader: Reader) -> bool:
        """Whether these bytes are a dead letter."""
        tenant = self.command.tenant
        return any(reader.load("seen", letter_key(tenant, id)) is not None for id in self.letters)

    def outcome(self, reader: Reader, settings: RatingSettings) -> Result | None:
        """The outcome: applied, refused, or None: neither yet."""
        applied = self.applied(reader, settings, RecordResult.ACCEPTED)
        if applied is not None or not self.is_refused(reader):
            return applied
        for _, value in reader.topic("rejected-cdrs", self.command.tenant, newest_first=True):
            letter = _letters.decode(value)
            if letter.id in self.letters:
                return refused(Refusal(letter.reason, letter.field or "", letter.message), letter.id)
        return None
