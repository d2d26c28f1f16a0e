"""Refused: records and commands that could not be applied, with the reason, and with numbers masked."""

from typing import Any, NamedTuple

from rater.ops.masking import mask_people
from rater.serve.web.screens.asked import Asked, number_in
from rater.wire.dead_letters import Letter, place_of, raw_bytes

#: Letters of a page, and how much is shown of each.
LETTERS_PER_PAGE, SHOWN_MAX = 50, 600


class Row(NamedTuple):
    """A dead letter as the list shows it."""

    letter: Letter
    place: str
    message: str
    record: str


def refused(asked: Asked) -> dict[str, Any]:
    """What `refused.html` shows: letters that say that they are this tenant's, the newest first."""
    page = asked.lookup.refused(asked.tenant, number_in(asked.query, "after"), LETTERS_PER_PAGE)
    own = [letter for letter in page.letters if letter.owner == asked.tenant]
    return {"account": asked.account, "letters": [_row(letter) for letter in own], "older": page.next}


def _row(letter: Letter) -> Row:
    record = mask_people(raw_bytes(letter.letter).decode("utf-8", "replace"))
    shown = record if len(record) <= SHOWN_MAX else record[:SHOWN_MAX] + " …"
    return Row(letter, place_of(letter.letter), mask_people(letter.letter.message), shown)
