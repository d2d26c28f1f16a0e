"""One call: every rating of it, and why each cost what it did."""

from typing import Any

import msgspec

from rater.core import AccountEvent, RatedCall, explain, parse_ledger
from rater.embedded.lookup import PAGE_MAX, flags_of
from rater.engine.books import payer_of
from rater.engine.given_back import given_by_hand, is_given_back
from rater.serve.web.screens.asked import Asked, NoSuchThing

_calls = msgspec.json.Decoder(RatedCall).decode


def call(asked: Asked) -> dict[str, Any]:
    """What `call.html` shows; NoSuchThing: this tenant has no such call."""
    ratings = [_calls(value) for value in asked.reader.rated_calls(asked.query.get("id", ""), asked.tenant)]
    if not ratings:
        raise NoSuchThing
    last = ratings[-1]
    given = given_of(asked).get(last.usage_id, [])
    return {
        "account": asked.account,
        "call": last,
        "charge": parse_ledger(last.charge),
        "given": given,
        "may_give": not is_given_back(last.usage_id, given),
        "flags": flags_of(last),
        "explained": [list(explain(rating, payer_of(asked.reader, rating))) for rating in reversed(ratings)],
    }


def given_of(asked: Asked) -> dict[str, list[AccountEvent]]:
    """What people gave or took for the tenant's calls, by usage id; only money that is no call's is read."""
    page = asked.lookup.funds(asked.tenant, None, PAGE_MAX)
    events = page.events
    while page.next is not None:
        page = asked.lookup.funds(asked.tenant, page.next, PAGE_MAX)
        events += page.events
    return given_by_hand(reversed(events))
