"""A dead letter as people see it: phone numbers and users' addresses masked, unless they ask for them."""

from typing import Any

import msgspec

from rater.ops.masking import mask_people
from rater.wire.dead_letters import Letter, raw_bytes

#: Fields in which anybody may have written a number or an address.
_SAID = ("message", "header", "raw")


def shown_facts(letter: Letter, reveal: bool) -> dict[str, Any]:
    """The letter and what was done about it; without `reveal` its bytes are text, for base64 would hide nothing."""
    facts: dict[str, Any] = msgspec.to_builtins(letter.letter)
    at = letter.refused_at
    facts |= {
        "refused_at": at.isoformat() if at else None,
        "state": letter.state.value,
        "history": [msgspec.to_builtins(audit) for audit in letter.history],
    }
    if reveal:
        return facts
    facts |= {"raw": raw_bytes(letter.letter).decode("utf-8", "replace"), "raw_encoding": "utf-8"}
    return facts | {name: mask_people(facts[name]) for name in _SAID if facts.get(name)}
