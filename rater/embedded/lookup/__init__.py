"""The lookup: a file beside a store by which calls, debits and money are found without reading the whole ledger."""

from rater.embedded.lookup.asked import (
    ANOMALY,
    FLAGS,
    PAGE_MAX,
    By,
    CallFilter,
    CallPage,
    CallPlace,
    DebitPage,
    FundPage,
    RefusedPage,
    Spend,
    day_bounds,
    digits_of,
)
from rater.embedded.lookup.calls import flags_of
from rater.embedded.lookup.lookup import Lookup, looked_up, open_lookup

__all__ = [
    "ANOMALY",
    "FLAGS",
    "PAGE_MAX",
    "By",
    "CallFilter",
    "CallPage",
    "CallPlace",
    "DebitPage",
    "FundPage",
    "Lookup",
    "RefusedPage",
    "Spend",
    "day_bounds",
    "digits_of",
    "flags_of",
    "looked_up",
    "open_lookup",
]
