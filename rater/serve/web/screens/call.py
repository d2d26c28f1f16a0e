"""One call: every rating of it, and why each cost what it did."""

from typing import Any

import msgspec

from rater.core import RatedCall, explain, parse_ledger
from rater.embedded.lookup import flags_of
from rater.engine.books import payer_of
from rater.engine.given_back import credit_id, given_by_hand
from rater.serve.web.screens.asked import Asked, NoSuchThing

_calls = msgspec.json.Decoder(RatedCall).decode


def call(asked: Asked) -> dict[str, Any]:
    """What `call.html` shows; NoSuchThing: this tenant has no such call."""
    ratings = [_calls(value) for value in asked.reader.rated_calls(asked.query.get("id", ""), asked.tenant)]
    if not ratings:
        raise NoSuchThing
    last = ratings[-1]
    events = (value for _, value in asked.reader.topic("account-events", asked.tenant))
    given = given_by_hand(events).get(last.usage_id, [])
    return {
        "account": asked.account,
        "call": last,
        "charge": parse_ledger(last.charge),
        "given": given,
        "may_give": not any(one.command_id == credit_id(last.usage_id) for one in given),
        "flags": flags_of(last),
        "explained": [list(explain(rating, payer_of(asked.reader, rating))) for rating in reversed(ratings)],
    }
