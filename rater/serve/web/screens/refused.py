"""Refused: records and commands that could not be applied, with the reason, and with numbers masked."""

from collections import Counter
from typing import Any, NamedTuple

from rater.embedded.dead_letters import letters_of
from rater.ops.masking import mask_people
from rater.serve.web.screens.asked import Asked
from rater.wire.dead_letters import SETTLED, Letter, place_of, raw_bytes

#: Letters that are shown at a time, the newest first, and how much of each.
LETTERS_MAX, SHOWN_MAX = 100, 600


class Row(NamedTuple):
    """A dead letter as the list shows it."""

    letter: Letter
    place: str
    message: str
    record: str


def refused(asked: Asked) -> dict[str, Any]:
    """What `refused.html` shows: letters that say that they are this tenant's, and are not settled."""
    own = [
        letter
        for letter in letters_of(asked.reader)
        if letter.owner == asked.tenant and letter.state not in SETTLED
    ]
    reasons = Counter(letter.letter.reason.value for letter in own)
    reason = asked.query.get("reason", "")
    chosen = [letter for letter in own if reason in ("", letter.letter.reason.value)]
    return {
        "account": asked.account,
        "reasons": sorted(reasons.items()),
        "reason": reason,
        "letters": [_row(letter) for letter in chosen[: -LETTERS_MAX - 1 : -1]],
        "total": len(chosen),
    }


def _row(letter: Letter) -> Row:
    record = mask_people(raw_bytes(letter.letter).decode("utf-8", "replace"))
    shown = record if len(record) <= SHOWN_MAX else record[:SHOWN_MAX] + " …"
    return Row(letter, place_of(letter.letter), mask_people(letter.letter.message), shown)
