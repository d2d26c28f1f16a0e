"""One call: every rating of it, and why each cost what it did."""

from typing import Any

import msgspec

from rater.core import RatedCall, User, explain, name_key, parse_ledger
from rater.serve.web.screens.asked import Asked, NoSuchThing
from rater.serve.web.screens.usage import flags

_calls = msgspec.json.Decoder(RatedCall).decode


def call(asked: Asked) -> dict[str, Any]:
    """What `call.html` shows; NoSuchThing: this tenant has no such call."""
    ratings = [_calls(value) for value in asked.reader.rated_calls(asked.query.get("id", ""), asked.tenant)]
    if not ratings:
        raise NoSuchThing
    last = ratings[-1]
    found = asked.reader.load("user", (asked.tenant, name_key(last.user))) if last.user else None
    user = found if isinstance(found, User) else None
    return {
        "account": asked.account,
        "call": last,
        "charge": parse_ledger(last.charge),
        "flags": flags(last),
        "explained": [list(explain(rating, user)) for rating in reversed(ratings)],
    }
