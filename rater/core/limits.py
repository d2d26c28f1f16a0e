"""How much of one tenant or user is kept in one record, and what is refused beyond it.

Each record stays below the megabyte of a message, whatever comes in: the lists here are those within one record
that inputs make longer.  Others are in pages (lots, debts, restricted users, joins of a plan), or are bounded by
what they list: requests for recharge by RECHARGES_MAX, countries by ISO 3166-1, domains by their command.
"""

import msgspec

from rater.core.entities import Account, User
from rater.core.pages import PAGE_MAX
from rater.core.reasons import Reason, Refusal

#: Of a user's record: some 2,000 dated changes of its licences and country.
USER_BYTES_MAX = 250_000
#: Of each list of dated settings in an account: some 2,000 decks, or 4,000 counts of licences.
DATED_BYTES_MAX = 64_000
#: Pages of purchases with money left, and of debts that purchases paid.
PAGES_MAX = 5_000
#: Promotions and adjustments with an expiry of their own, which are in the account's record until they expire.
OWN_EXPIRY_MAX = 500
#: Purchases that one call is paid with, or whose money one correction gives back.
CALL_LOTS_MAX = 1_000

_bytes_of = msgspec.msgpack.Encoder().encode


def too_long_history(user: User) -> Refusal | None:
    """Why a user's licences and countries cannot be changed once more."""
    if len(_bytes_of(user)) <= USER_BYTES_MAX:
        return None
    message = (
        f"expected a user whose dated licences and countries fit {USER_BYTES_MAX} bytes (USER_BYTES_MAX), got"
        f" {len(user.timeline)} dates, the last with {len(user.timeline[-1].skus)} licences; nothing was changed"
    )
    return Refusal(Reason.TOO_MANY, "user", message)


def too_many_dates(field: str, dated: tuple[tuple[object, object], ...]) -> Refusal | None:
    """Why a tenant's dated setting cannot be changed once more."""
    if len(_bytes_of(dated)) < DATED_BYTES_MAX:
        return None
    message = (
        f"expected changes of {field} that fit {DATED_BYTES_MAX} bytes (DATED_BYTES_MAX), got one more than the"
        f" {len(dated)} that do; nothing was changed"
    )
    return Refusal(Reason.TOO_MANY, field, message)


def too_many_purchases(account: Account) -> Refusal | None:
    """Why a tenant cannot buy once more."""
    if max(len(account.lot_pages), len(account.debts.pages)) < PAGES_MAX:
        return None
    message = (
        f"expected fewer than {PAGES_MAX * PAGE_MAX} purchases of which something is left or that paid a debt"
        " (PAGES_MAX * PAGE_MAX); add more money at a time, or wait until purchases expire; nothing was added"
    )
    return Refusal(Reason.TOO_MANY, "amount", message)


def too_many_with_own_expiry(account: Account) -> Refusal | None:
    """Why a tenant cannot be given more money that expires at a time of its own."""
    if _with_own_expiry(account) < OWN_EXPIRY_MAX:
        return None
    message = (
        f"expected fewer than {OWN_EXPIRY_MAX} promotions and adjustments with an expiry (OWN_EXPIRY_MAX) that have"
        " not expired; add more money at a time, or wait until some expire; nothing was added"
    )
    return Refusal(Reason.TOO_MANY, "amount", message)


def may_name_too_many_lots(account: Account) -> bool:
    """Whether a charge may be paid by more lots than one record names: what is not in pages is fewer.

    An account of an earlier release may have more with an expiry of their own than may be added now.
    """
    return bool(account.lot_pages or account.debts.pages) or _with_own_expiry(account) > OWN_EXPIRY_MAX


def _with_own_expiry(account: Account) -> int:
    return len(account.promotions) + len(account.own_expiry)


def too_many_lots(lots: int) -> Refusal | None:
    """Why a call cannot be debited, or its charge cannot be given back."""
    if lots <= CALL_LOTS_MAX:
        return None
    message = (
        f"expected a charge that at most {CALL_LOTS_MAX} purchases pay (CALL_LOTS_MAX), got {lots};"
        " look for purchases of very small amounts"
    )
    return Refusal(Reason.TOO_MANY, "duration_s", message)
