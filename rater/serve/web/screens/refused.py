"""Refused: records and commands that could not be applied, with the reason, and with numbers masked."""

from typing import Any, NamedTuple

import msgspec

from rater.core import RejectedCdr, is_whole
from rater.ops.masking import mask_people
from rater.serve.web.ordering.shapes import LetterWay
from rater.serve.web.people import Role
from rater.serve.web.screens.asked import Asked, NoSuchThing, number_in
from rater.wire.dead_letters import (
    SETTLED,
    Letter,
    holds_command,
    may_be_accepted,
    may_be_replayed,
    place_of,
    raw_bytes,
    why_not_replayed,
)

#: Letters of a page, and how much is shown of each.
LETTERS_PER_PAGE, SHOWN_MAX = 50, 600


class Row(NamedTuple):
    """A dead letter as the list shows it; `fields` are those of its record, if it could be read as an object.

    `ways` is what the reader may do with it.

    `why_not` is why nobody may give it again.
    """

    letter: Letter
    title: str
    place: str
    message: str
    fields: list[tuple[str, str]]
    record: str
    ways: list[LetterWay]
    why_not: str | None


def refused(asked: Asked) -> dict[str, Any]:
    """What `refused.html` shows: letters that say that they are this tenant's, the newest first."""
    page = asked.lookup.refused(asked.tenant, number_in(asked.query, "after"), LETTERS_PER_PAGE)
    own = [letter for letter in page.letters if letter.owner == asked.tenant]
    role = asked.session.role
    return {"account": asked.account, "letters": [row_of(letter, role) for letter in own], "older": page.next}


def row_of(letter: Letter, role: Role) -> Row:
    """A letter as a role sees it."""
    record = mask_people(raw_bytes(letter.letter).decode("utf-8", "replace"))
    shown = record if len(record) <= SHOWN_MAX else record[:SHOWN_MAX] + " …"
    about, ways = letter.letter, ways_of(letter, role)
    why_not = mask_people(why_not_replayed(about)) if ways and not _can_be_replayed(about) else None
    title = about.reason.value.replace("_", " ").capitalize()
    fields = _fields(record) if shown == record else []
    return Row(letter, title, place_of(about), mask_people(about.message), fields, shown, ways, why_not)


def _fields(record: str) -> list[tuple[str, str]]:
    """The fields of a masked record, in its order; none where it is no object."""
    try:
        read = msgspec.json.decode(record, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return []
    return [
        (name, value if isinstance(value, str) else msgspec.json.encode(value).decode())
        for name, value in read.items()
    ]


def letter_of(asked: Asked, id: str) -> Letter:
    """The letter with an id; NoSuchThing: this tenant has none."""
    letter = asked.lookup.letter(asked.tenant, id)
    if letter is None or letter.owner != asked.tenant:
        raise NoSuchThing
    return letter


def ways_of(letter: Letter, role: Role) -> list[LetterWay]:
    """What a role may do with a letter; nothing where it is settled.

    Commands are given again by operators alone: among them are some that no other role may order.
    """
    if role is Role.VIEWER or letter.state in SETTLED:
        return []
    about = letter.letter
    if not _can_be_replayed(about) or (holds_command(about) and role is not Role.OPERATOR):
        return ["drop"]
    return ["accept" if may_be_accepted(about) else "replay", "drop"]


def _can_be_replayed(about: RejectedCdr) -> bool:
    return is_whole(about) and may_be_replayed(about)
