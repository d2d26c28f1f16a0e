"""What an order will do: the rules try its command on the store, without a trace."""

from datetime import datetime
from typing import NamedTuple

import msgspec

from rater.core import (
    AnyCommand,
    FundsAdjusted,
    MoneyError,
    Refusal,
    parse_micros,
)
from rater.embedded.store import Reader
from rater.embedded.store_settings import kept_settings
from rater.engine.given_back import creditable
from rater.engine.trial import tried
from rater.ops.masking import mask_people
from rater.wire.codec import decode_command, encode_input


class Preview(NamedTuple):
    """The command as it will be sent, and what it does: `refused` says why it would not be applied.

    Balances are micro-units.  `used` is true where the id was used before, so that nothing would change.
    """

    command: list[str]
    before: int
    after: int
    taken: list[tuple[str, str, list[tuple[str, str]]]]
    events: list[str]
    refused: str | None
    used: bool


def preview(reader: Reader, command: AnyCommand, at: datetime) -> Preview:
    """The preview of a command as of the last commit."""
    raw = encode_input(command)
    lines = msgspec.json.format(raw, indent=2).decode().split("\n")
    account = reader.account(command.tenant)
    balance = account.balance if account is not None else 0
    wrong = _undecodable(raw) or _beyond_call(reader, command)
    if wrong is not None:
        return Preview(lines, balance, balance, [], [], wrong, False)
    trial = tried(reader, kept_settings(reader), (), command, at)
    refused, after = trial.refused, trial.after.account(command.tenant)
    return Preview(
        lines,
        balance,
        after.balance if after is not None else balance,
        [
            (debit.kind.value, debit.amount, [(share.lot, share.amount) for share in debit.lots])
            for debit in trial.debits
        ],
        [event.value for event in trial.events],
        mask_people(f"{refused.field}: {refused.message}") if refused is not None else None,
        trial.changes_nothing,
    )


def _undecodable(raw: bytes) -> str | None:
    decoded = decode_command(raw)
    return f"{decoded.field}: {decoded.message}" if isinstance(decoded, Refusal) else None


def _beyond_call(reader: Reader, command: AnyCommand) -> str | None:
    """Money given back for a call is above zero and at most what is left of its cost, as on the command line."""
    if not isinstance(command, FundsAdjusted) or command.usage_id is None:
        return None
    ratings = reader.rated_calls(command.usage_id, command.tenant)
    events = (value for _, value in reader.topic("account-events", command.tenant))
    credit = creditable(ratings[-1:], events, command.usage_id, command.id)
    try:
        fits = credit.allows(parse_micros(command.amount))
    except MoneyError as wrong:
        return f"amount: {wrong}"
    return None if fits else f"amount: expected {credit}"
