"""Dead letters as people deal with them: what was refused, and what was done about it since.

`DlqAudit` is the record of the `dlq-audit` topic.
"""

from base64 import b64decode
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from rater.core import NO_TENANT, CallAccepted, ClosedList, Reason, RejectedCdr, Source, letter_id
from rater.wire.codec import not_a_call_record

#: The topic of commands, and the format of a file that was given as one of commands.
_COMMANDS = "commands"


class LetterAction(ClosedList):
    """What a person did with a dead letter."""

    REPLAYED = "replayed"  # its bytes were given to the rater again
    DROPPED = "dropped"  # it will never be rated; it stays in the topic until its retention ends
    LOOKED = "looked"  # `rater doctor` asked the broker for its time; about no letter
    SKIPPED = "skipped"  # a record on which the rating task stopped becomes a letter unread
    LOSS_ACCEPTED = "loss_accepted"  # inputs that were deleted before they were rated are given up
    TOPIC_ACCEPTED = "topic_accepted"  # a topic that was deleted and created again is read from its first record


class LetterState(ClosedList):
    """The state of a dead letter."""

    WAITING = "waiting"  # not settled yet
    REFUSED_AGAIN = "refused_again"  # replayed, and refused for the same reason
    REPLAYED = "replayed"  # replayed, outcome not waited for
    ACCEPTED = "accepted"  # replayed, and rated now, or found to have been
    DROPPED = "dropped"


#: Letters that are settled.
SETTLED = frozenset({LetterState.ACCEPTED, LetterState.DROPPED})


class DlqAudit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who did what with a dead letter, when; `tenant` and `id` are the letter's.

    `accepted` is the outcome of a replay; it is absent where the outcome was not waited for.  `source` is there for
    a skip, which is about a record that is no letter yet, and for inputs that are gone: the next that would have
    been read.  `goes_on_at` is the offset that is read instead, `topic_id` the id of the topic that it is of.
    """

    tenant: str
    id: str
    action: LetterAction
    by: str
    at: datetime
    note: str | None = None
    accepted: bool | None = None
    source: Source | None = None
    goes_on_at: int | None = None
    topic_id: str | None = None


class Letter(msgspec.Struct, frozen=True):
    """A dead letter with its history; `refused_at` is absent where no clock was noted."""

    letter: RejectedCdr
    refused_at: datetime | None = None
    history: tuple[DlqAudit, ...] = ()

    @property
    def state(self) -> LetterState:
        """Its state: settled by one acceptance or drop, else as the last replay ended."""
        if any(audit.action is LetterAction.DROPPED for audit in self.history):
            return LetterState.DROPPED
        if any(audit.accepted for audit in self.history):
            return LetterState.ACCEPTED
        if not self.history:
            return LetterState.WAITING
        return LetterState.REPLAYED if self.history[-1].accepted is None else LetterState.REFUSED_AGAIN

    @property
    def owner(self) -> str:
        """The tenant that it is about, as far as it says."""
        return self.letter.claimed_tenant or self.letter.tenant


def audit_of(
    letter: Letter,
    action: LetterAction,
    by: str,
    at: datetime,
    *,
    note: str | None = None,
    accepted: bool | None = None,
) -> DlqAudit:
    """What somebody did with a letter."""
    about = letter.letter
    return DlqAudit(tenant=about.tenant, id=about.id, action=action, by=by, at=at, note=note, accepted=accepted)


class Choice(msgspec.Struct, frozen=True):
    """Which letters are meant; what is absent or empty means any."""

    ids: tuple[str, ...] = ()
    reason: str | None = None
    tenant: str | None = None
    since: datetime | None = None
    settled: bool = False
    limit: int | None = None

    def of(self, letters: Iterable[Letter]) -> list[Letter]:
        """The letters that are meant, oldest first; an id may be shortened."""
        found = [letter for letter in letters if self._means(letter)]
        return found[: self.limit]

    def _means(self, letter: Letter) -> bool:
        return (
            (not self.ids or letter.letter.id.startswith(self.ids))
            and self.reason in (None, letter.letter.reason.value)
            and self.tenant in (None, letter.letter.tenant, letter.letter.claimed_tenant)
            and (self.since is None or letter.refused_at is None or letter.refused_at >= self.since)
            and (self.settled or letter.state not in SETTLED)
        )


def acceptances(letters: Iterable[Letter], by: str, at: Callable[[str], datetime]) -> list[CallAccepted]:
    """The commands that let the held records among letters through (A44), each at a time of its tenant."""
    return [
        CallAccepted(
            tenant=letter.letter.tenant,
            id=f"accept-{letter.letter.id}",
            at=at(letter.letter.tenant),
            letter=letter.letter.id,
            by=by,
        )
        for letter in letters
        if may_be_accepted(letter.letter)
    ]


def may_be_accepted(letter: RejectedCdr) -> bool:
    """Whether it is a held record, which a person may let through (A44)."""
    return letter.reason is Reason.IMPLAUSIBLE_DURATION


class LetterBox(Protocol):
    """Where dead letters are kept."""

    def letters(self) -> list[Letter]:
        """Every letter, oldest first."""

    def replay(
        self,
        letters: Sequence[Letter],
        by: str,
        at: datetime,
        *,
        accept: bool = False,
        accept_at: datetime | None = None,
    ) -> list[DlqAudit]:
        """Give their bytes to the rater again, and note it; what was noted.

        With `accept`, held records among them are let through first (A44).  That is a command, whose time moves the
        tenant's clock up to it, so that money whose time is over by then expires: `accept_at`, else in a store the
        tenant's clock as it is, and on Kafka `at`.
        Nothing is noted of letters whose bytes were cut and whose original cannot be read any more, and of commands
        of which it is not proven that they came in by an input for commands (A48).
        """

    def drop(self, letters: Sequence[Letter], by: str, at: datetime, note: str) -> list[DlqAudit]:
        """Note that they are never to be rated; what was noted."""


def raw_bytes(letter: RejectedCdr) -> bytes:
    """The bytes that were refused, or the beginning of them if the letter is cut."""
    return letter.raw.encode() if letter.raw_encoding == "utf-8" else b64decode(letter.raw)


def place_of(letter: RejectedCdr) -> str:
    """Where it was read: `cdrs.jsonl:17` for a row of a file, `cdrs[3]:17` for a partition's offset."""
    source = letter.source
    partition = f"[{source.partition}]" if source.partition else ""
    return f"{source.topic}{partition}:{source.offset}"


def may_be_replayed(letter: RejectedCdr) -> bool:
    """Whether a replay applies nothing that came in by an input for call records only (A48).

    Release 0.3.0 accepted commands in files of calls, too, and its letters do not have the input of a command;
    a letter of this release that has the format or the topic of commands came in by an input for commands.
    """
    if letter.mapping is not None:
        return True  # read by a mapping, which makes call records only
    if _COMMANDS in (letter.format, letter.source.topic):
        return _written_by_this_release(letter)
    return not_a_call_record(raw_bytes(letter)) is None


def holds_command(letter: RejectedCdr) -> bool:
    """Whether what was refused is a command, not the record of a call."""
    if letter.mapping is not None:
        return False
    return _COMMANDS in (letter.format, letter.source.topic) or not_a_call_record(raw_bytes(letter)) is not None


def _written_by_this_release(letter: RejectedCdr) -> bool:
    """Whether the id is made as this release makes it; 0.3.0 left out the tenant, and cut no letter."""
    owners = {letter.tenant, letter.claimed_tenant or letter.tenant, NO_TENANT}
    raw = raw_bytes(letter)
    return letter.raw_cut or letter.id in {letter_id(owner, raw, letter.reason) for owner in owners}


def why_not_replayed(letter: RejectedCdr) -> str:
    """What a person reads who wanted to replay a letter that was not tried."""
    id = letter.id[:12]
    if not may_be_replayed(letter):
        return (
            f"{id}: not replayed: a command, and nothing proves that it came in by an input for commands (A48);"
            f" to apply it all the same: rater dlq show {id} --raw > command.jsonl, read it, then give it to"
            f" `rater run` or `rater publish` with --commands command.jsonl, and drop the letter"
        )
    if letter.raw_cut:
        kept = f"the first {len(raw_bytes(letter))} of its {letter.raw_length} bytes were kept"
    else:
        kept = f"a part of the {letter.header_length} bytes of its file's header was kept"
    return (
        f"{letter.id[:12]}: not replayed: only {kept};"
        f" the whole record was read at {place_of(letter)}: correct it there and send it again"
    )


def with_history(
    letters: Iterable[tuple[RejectedCdr, datetime | None]], audits: Iterable[DlqAudit]
) -> list[Letter]:
    """Letters with what was done about each, in order.

    The same bytes of one tenant refused for the same reason have one id and are one letter: the latest, for the
    tenant may have been configured by now.
    """
    histories: dict[str, list[DlqAudit]] = {}
    for audit in audits:
        histories.setdefault(audit.id, []).append(audit)
    latest = {letter.id: (letter, refused_at) for letter, refused_at in letters}
    return [
        Letter(letter, refused_at, tuple(histories.get(letter.id, ()))) for letter, refused_at in latest.values()
    ]
