"""The lookup: a file beside a store by which calls, debits and money are found without reading the whole ledger."""

from rater.embedded.lookup.asked import (
    FLAGS,
    PAGE_MAX,
    By,
    CallFilter,
    CallPage,
    DebitPage,
    FundPage,
    RefusedPage,
    Spend,
)
from rater.embedded.lookup.lookup import Lookup, open_lookup

__all__ = [
    "FLAGS",
    "PAGE_MAX",
    "By",
    "CallFilter",
    "CallPage",
    "DebitPage",
    "FundPage",
    "Lookup",
    "RefusedPage",
    "Spend",
    "open_lookup",
]
