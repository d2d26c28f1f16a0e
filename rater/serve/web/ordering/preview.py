"""What an order will do: the rules try its commands, or a dead letter, on the store without a trace."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from rater.core import (
    Account,
    AnyCommand,
    EventKind,
    FundsAdjusted,
    LicenseAssigned,
    LicenseRemoved,
    MoneyError,
    Outcome,
    RatingSettings,
    Refusal,
    Source,
    State,
    User,
    parse_micros,
    sku,
)
from rater.embedded.store import Reader
from rater.engine.batch import Record
from rater.engine.given_back import Creditable, creditable
from rater.engine.trial import Trial, tried_records
from rater.ops.masking import mask_people
from rater.wire.codec import decode_command, encode_input


class Change(NamedTuple):
    """What a command changes: the licences of a user before and after it, from when, and why it would be refused.

    `row` is its row of a file; `known`: the catalogue has the licence; `idle`: it leaves the user as it is.
    """

    row: int | None
    user: str
    sku: str
    country: str | None
    before: tuple[str, ...]
    after: tuple[str, ...]
    since: datetime
    known: bool
    refused: str | None
    idle: bool


class Preview(NamedTuple):
    """What is sent, as lines, and what it does: `refused` says why it would not be applied.

    Balances are micro-units.  `used` is true where the id was used before, so that nothing would change; `asks`
    where a payment would be asked for.
    """

    lines: list[str]
    before: int
    after: int
    taken: list[tuple[str, str, list[tuple[str, str]]]]
    events: list[str]
    refused: str | None
    used: bool
    asks: bool = False
    changes: Sequence[Change] = ()


def preview(
    reader: Reader,
    settings: RatingSettings,
    account: Account,
    commands: Sequence[AnyCommand],
    at: datetime,
    rows: Sequence[int] = (),
) -> Preview:
    """The preview of commands as of the last commit; `rows` are those of the file that they are."""
    raws = [encode_input(command) for command in commands]
    lines = [line for raw in raws for line in msgspec.json.format(raw, indent=2).decode().split("\n")]
    places: Sequence[int | None] = rows or [None] * len(commands)
    undecodable = (_undecodable(raw, row) for raw, row in zip(raws, places, strict=True))
    wrong = next(filter(None, undecodable), None) or _beyond_call(reader, commands[0])
    if wrong is not None:
        return Preview(lines, account.balance, account.balance, [], [], wrong, False)
    records = [
        Record("command", Source("trial", 0, number), raw, command, arrived_at=at)
        for number, (raw, command) in enumerate(zip(raws, commands, strict=True))
    ]
    trial = tried_records(reader, settings, (), records)
    refusals = iter(trial.refusals)
    refused = [next(refusals) if outcome is Outcome.REJECTED else None for outcome in trial.outcomes]
    changes = [
        _change(reader, trial, one, row, wrong)
        for one, row, wrong in zip(commands, places, refused, strict=True)
        if isinstance(one, LicenseAssigned | LicenseRemoved)
    ]
    return preview_of(lines, account, trial)._replace(changes=changes, refused=_said(trial.refused))


def preview_of(lines: list[str], account: Account, trial: Trial) -> Preview:
    """The preview of what was tried; what it would be refused for is masked."""
    refused, after = trial.refused, trial.after.account(account.tenant)
    events = dict.fromkeys(event.value for event in trial.events)
    return Preview(
        lines,
        account.balance,
        after.balance if after is not None else account.balance,
        [
            (debit.kind.value, debit.amount, [(share.lot, share.amount) for share in debit.lots])
            for debit in trial.debits
        ],
        list(events),
        None if refused is None else mask_people(_said(refused) or ""),
        trial.changes_nothing,
        EventKind.RECHARGE_REQUESTED.value in events,
    )


def given_back(reader: Reader, tenant: str, usage_id: str, id: str | None) -> Creditable:
    """What may still be given back for a call under this id (A45)."""
    events = (value for _, value in reader.topic("account-events", tenant))
    return creditable(reader.rated_calls(usage_id, tenant)[-1:], events, usage_id, id)


def _change(
    reader: Reader,
    trial: Trial,
    command: LicenseAssigned | LicenseRemoved,
    row: int | None,
    refused: Refusal | None,
) -> Change:
    since = command.effective_from or command.at
    was, will_be = (state.user_meant_by(command.tenant, command.user) for state in (State(reader), trial.after))
    return Change(
        row,
        command.user,
        command.sku,
        command.country,
        _held(was, since),
        _held(will_be, since),
        since,
        sku(command.sku) is not None,
        _said(refused),
        refused is None and was == will_be,
    )


def _said(refused: Refusal | None) -> str | None:
    """Why something would be refused; nothing is masked of what a person typed."""
    if refused is None:
        return None
    return f"{refused.field}: {refused.message}" if refused.field else refused.message


def _held(user: User | None, at: datetime) -> tuple[str, ...]:
    """The licences that a user holds at an instant."""
    stretches = [one for one in user.timeline if one.since is None or one.since <= at] if user else []
    return stretches[-1].skus if stretches else ()


def _undecodable(raw: bytes, row: int | None) -> str | None:
    decoded = decode_command(raw)
    if not isinstance(decoded, Refusal):
        return None
    place = "" if row is None else f"row {row}: "
    return f"{place}{decoded.field}: {decoded.message}"


def _beyond_call(reader: Reader, command: AnyCommand) -> str | None:
    """Money given back for a call is above zero and at most what is left of its cost, as on the command line."""
    if not isinstance(command, FundsAdjusted) or command.usage_id is None:
        return None
    credit = given_back(reader, command.tenant, command.usage_id, command.id)
    try:
        fits = credit.allows(parse_micros(command.amount))
    except MoneyError as wrong:
        return f"amount: {wrong}"
    return None if fits else f"amount: expected {credit}"
