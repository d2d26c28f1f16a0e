"""Dead letters as orders: what is ordered about one, and what that does."""

from datetime import datetime

import msgspec

from rater.core import Account, RatingSettings
from rater.embedded.dead_letters import accepted_and_again
from rater.embedded.store import Reader
from rater.engine.trial import tried_records
from rater.serve.web.ordering.preview import Preview, preview_of
from rater.serve.web.ordering.shapes import LetterWay
from rater.wire.dead_letters import SETTLED, Letter
from rater.wire.errors import RaterError


class LetterOrder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is ordered about a dead letter."""

    dead_letter: str
    way: LetterWay
    note: str | None = None


def preview_letter(
    reader: Reader,
    settings: RatingSettings,
    account: Account,
    letter: Letter,
    order: LetterOrder,
    person: str,
    at: datetime,
) -> Preview:
    """What an order about a letter does."""
    lines = msgspec.json.format(msgspec.json.encode(order), indent=2).decode().split("\n")
    nothing = Preview(lines, account.balance, account.balance, [], [], None, letter.state in SETTLED)
    if order.way == "drop" or nothing.used:
        return nothing
    try:
        records = accepted_and_again(letter, person, at, account.clock if order.way == "accept" else None)
    except RaterError as wrong:  # such as a mapping that is not there any more
        return nothing._replace(refused=str(wrong))
    trial = tried_records(reader, settings, reader.decks(), records)
    return preview_of(lines, account, trial)._replace(used=False)
