"""What the read API answers about limits on spending (A50); see `answers`."""

from datetime import datetime

import msgspec


class BrakeLine(msgspec.Struct, frozen=True):
    """A limit (A50); `only` is the one user, country or class of number that it is about.

    `limit` is a number where `measure` is `calls_at_once`, whose `window` is `now`; else it is money.
    """

    brake: str
    mode: str
    scope: str
    measure: str
    window: str
    limit: str
    only: str | None


class BrakeWindowLine(msgspec.Struct, frozen=True):
    """What a brake counted of one `subject` from `since` to before `until`; the tenant's subject is null.

    `over_calls` and `over_charge` are the calls that began after the limit was reached, which `stop` refuses.
    `country` is the one that was new, where `measure` is `new_countries`.
    """

    brake: str
    subject: str | None
    country: str | None
    since: datetime
    until: datetime
    counted: str
    reached_at: datetime | None
    released: bool
    over_calls: int
    over_charge: str


class KnownLine(msgspec.Struct, frozen=True):
    """The countries that are not new any more to a `subject`, where `measure` is `new_countries`."""

    brake: str
    subject: str | None
    countries: tuple[str, ...]


class Brakes(msgspec.Struct, frozen=True):
    """Every brake by name, what was counted by subject and time, and the balances that people are notified of.

    `next` as in Calls; a page holds the windows of at most `limit` subjects, and what is `known` of them.
    """

    brakes: list[BrakeLine]
    windows: list[BrakeWindowLine]
    known: list[KnownLine]
    alerts: list[str]
    currency: str
    next: str | None
    as_of: datetime
