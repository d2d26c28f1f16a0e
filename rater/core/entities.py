"""What the rater keeps, one value per entity, so that a call loads and writes only what it touches.

Money is int micro-units here.  `Account` and `PoolMonth` are mutable and belong to one batch's overlay
(see `state`); the others are frozen and replaced.
"""

from datetime import datetime
from typing import Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from rater.core.lists import (
    Holders,
    JoinedPage,
    JoinsOfMonth,
    Restricted,
    RestrictedPage,
    Restrictions,
    StoppedList,
)
from rater.core.reasons import LotKind

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def twin(value: _Struct) -> _Struct:
    """A shallow copy; `copy.copy` would look for the same method four times as long."""
    return value.__copy__()  # type: ignore[attr-defined,no-any-return]  # msgspec has it, its types do not say so


class Lot(msgspec.Struct, frozen=True, omit_defaults=True):
    """One purchase of credit (rules 63, 64); `number` orders those of one time of purchase."""

    lot: str
    remaining: int
    purchased_at: datetime
    expires_at: datetime
    number: int = 0
    promotion: bool = False


class LotPage(msgspec.Struct, frozen=True):
    """Lots with money that are not at hand, in order; see `lots`."""

    lots: tuple[Lot, ...]


class LotPageEntry(msgspec.Struct, frozen=True, array_like=True):
    """What the account keeps of a LotPage: its first lot by time and number, how many lots, their sum."""

    number: int
    purchased_at: datetime
    first: int
    count: int
    money: int


class ShelvedLot(msgspec.Struct, frozen=True, array_like=True):
    """Where a lot belongs that left the account, because it was used up or is not needed soon; see `lots`.

    `shelved_at` is the account's clock when it left.  Kept for good, beside the purchase's id, which is kept as
    that of every command is.  With ids of 32 digits they are 67 and 89 bytes of the topic `state`, key and value,
    and 185 and 207 bytes of a worker's memory until they are decoded: 2 kB and 5 kB a year with a purchase a month,
    at most 0.4 MB and 1 MB with the 200 recharges in 30 days of A32.  After the lot's time nothing asks for it.
    """

    number: int
    purchased_at: datetime
    expires_at: datetime
    shelved_at: datetime


class LotHistory(msgspec.Struct, frozen=True, array_like=True):
    """A lot's history besides paying for calls: what was paid for it at first, and what went back (A45).

    Kept for good, for refunds and charge-backs; `before` is the lot that was added before it.
    """

    kind: LotKind
    amount: int
    purchased_at: datetime
    expires_at: datetime
    number: int
    before: str | None = None
    refunded: int = 0
    expired: int = 0
    reversed: bool = False


class Part(msgspec.Struct, frozen=True):
    """A part of the line of debts, from `start` up to `end`; `lot` paid for it, None while it is unpaid.

    It is of use `until` the lot expires; for good where a promotion paid (A46).
    """

    start: int
    end: int
    lot: str | None = None
    until: datetime | None = None


class DebtPage(msgspec.Struct, frozen=True):
    """Parts of the line that are not at hand, in order; see `debt`."""

    parts: tuple[Part, ...]


class DebtPageEntry(msgspec.Struct, frozen=True, array_like=True):
    """What the account keeps of a DebtPage: from where to where, how much is unpaid, until when it is of use."""

    number: int
    start: int
    end: int
    unpaid: int
    until: datetime | None


class Debts(msgspec.Struct, frozen=True):
    """The line: its length `incurred`, and its parts in order, but not those that were taken back or forgotten.

    The pages come before the parts.
    """

    incurred: int = 0
    parts: tuple[Part, ...] = ()
    pages: tuple[DebtPageEntry, ...] = ()


class InFlight(msgspec.Struct, frozen=True):
    """A recharge that was asked for and not yet answered."""

    recharge: str
    amount: int
    attempt: int
    requested_at: datetime


class Recharge(msgspec.Struct):
    """Auto-recharge of a tenant: its settings and the state of the present crossing (rules 58, 59; A6 to A8)."""

    enabled: bool = False
    trigger: int = 0
    amount: int = 0
    low_since: int | None = None
    in_flight: InFlight | None = None
    attempt: int = 0
    failures: int = 0
    retry_at: datetime | None = None
    suppressed: bool = False
    requested: tuple[datetime, ...] = ()
    #: Money was refunded or charged back: nothing is asked for until a person changes something (A45).
    stopped: bool = False
    #: The last recharge that was answered (A47).
    answered: str | None = None

    @property
    def state(self) -> Literal["on", "off", "stopped"]:
        """Whether it recharges; stopped: money went back, and a person has to change something first (A45)."""
        return ("stopped" if self.stopped else "on") if self.enabled else "off"


class Brake(msgspec.Struct, frozen=True, array_like=True):
    """A limit on what is spent in a window, in micro-units, also of each new country, or on calls at once (A50).

    `only`: of the scope's subjects this one, a user's by its key; None: each of them by itself.
    `number` is another for each setting; `set_at` is the tenant's clock then, None if it was not kept.
    """

    name: str
    scope: Literal["tenant", "user", "country", "class"]
    measure: Literal["spend", "new_countries", "calls_at_once"]
    window: str
    limit: int
    mode: Literal["off", "shadow", "notify", "stop"]
    only: str | None = None
    number: int = 0
    set_at: datetime | None = None


class Brakes(msgspec.Struct, frozen=True, omit_defaults=True):
    """The brakes of a tenant, by name, and the balances below which it wants to be notified, the largest first."""

    table: tuple[Brake, ...] = ()
    alerts: tuple[int, ...] = ()


class SpentWindow(msgspec.Struct, frozen=True, array_like=True):
    """What calls that began from `start` to before `end` cost, in micro-units, as a brake counts it.

    `over_calls` and `over_money` are those that began after its limit was reached.  Of calls at once `spent` is the
    most that would have run, `over_calls` those that were asked for beyond the limit.  Under the brake's setting of
    this `number`: when it was reached, because what was left did not pay for `least`, and whether a person released
    it.  `stopped`: the last service state says that calls are refused.  `country`: the one to which calls are
    counted, because it was new.
    """

    brake: str
    start: datetime
    end: datetime
    spent: int = 0
    over_calls: int = 0
    over_money: int = 0
    number: int = 0
    reached_at: datetime | None = None
    least: int = 0
    released: bool = False
    stopped: bool = False
    country: str | None = None


class Spent(msgspec.Struct, frozen=True, omit_defaults=True):
    """The windows of one subject, such as a user, in order: those in which a late call may still be counted.

    `stated` are the brakes that ever had a service state for it, `known` the countries that are not new to it any
    more; each is `BRAKE` or `BRAKE/COUNTRY`.
    """

    windows: tuple[SpentWindow, ...] = ()
    stated: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


class BrakeShare(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """In which window of which brake a call was counted, by the key of Spent, and whether as one over its limit.

    `country` is the one that was new to it.
    """

    key: str
    brake: str
    window: str
    start: datetime
    over: bool = False
    country: str | None = None


class Sequences(msgspec.Struct):
    """The last sequence given out, per output topic."""

    rated_calls: int = 0
    debits: int = 0
    balances: int = 0
    account_events: int = 0
    recharges: int = 0
    service_states: int = 0
    rejected_cdrs: int = 0


class Account(msgspec.Struct, kw_only=True):
    """A tenant: its money, its clock, its settings.

    `balance` is sum(lots) - debt; debt is only there while every lot is empty (A20).  `lots` are the next to be
    used and, last, the newest; those between are in `lot_pages`.  `lots_numbered` is the last lot's number.
    Promotions, and adjustments with an expiry of their own, are beside them until they expire (`own_expiry`).
    `wake_at` is the next instant at which passing time changes something; `licenses_revision` counts changes of
    who holds what.
    """

    tenant: str
    currency: str
    clock: datetime
    wake_at: datetime
    country: str | None = None
    credits: bool = False
    lots: tuple[Lot, ...] = ()
    lot_pages: tuple[LotPageEntry, ...] = ()
    lots_numbered: int = 0
    debt: int = 0
    debts: Debts = Debts()
    balance: int = 0
    revision: int = 0
    depleted_since: int | None = None
    recharge: Recharge = msgspec.field(default_factory=Recharge)
    conferencing_licenses: tuple[tuple[datetime | None, int], ...] = ()
    decks: tuple[tuple[datetime | None, str], ...] = ()
    licenses_revision: int = 0
    restrictions: Restrictions = Restrictions()
    #: When the next licence that helps a restricted user becomes effective.
    relief_at: datetime | None = None
    #: The longest call that is rated without a person's acceptance (A44); None: that of the settings.
    call_duration_max_s: int | None = None
    service: str = "suspended"
    #: Its own SIP domains (A39).
    domains: tuple[str, ...] = ()
    #: Every country in which it ever had a user, in alphabetical order (A36).
    user_countries: tuple[str, ...] = ()
    sequences: Sequences = msgspec.field(default_factory=Sequences)
    #: In the order in which they are used: that which expires first, first (A46).
    promotions: tuple[Lot, ...] = ()
    #: Adjustments that say when they expire, by date, also those with nothing left (A45).
    own_expiry: tuple[Lot, ...] = ()
    #: The name of the lot that was added last; see LotHistory.
    lot_added_last: str | None = None
    #: What names of erased users are hashed with; None while nobody was erased.
    pseudonym_key: str | None = None
    #: From when to when it was closed, in order; None: it still is.
    closures: tuple[tuple[datetime, datetime | None], ...] = ()
    #: Absent from the bytes of a tenant without brakes.
    brakes: Brakes | UnsetType = UNSET

    @property
    def closed_since(self) -> datetime | None:
        """Since when the tenant is closed; None for one that is open."""
        return self.closures[-1][0] if self.closures and self.closures[-1][1] is None else None

    def was_closed(self, at: datetime) -> bool:
        """Whether the tenant was closed at an instant: nobody held a licence then, and credits were not set up."""
        return any(since <= at and (until is None or at < until) for since, until in self.closures)

    def own_copy(self) -> "Account":
        """A copy that shares nothing that is changed in place."""
        own = twin(self)
        own.recharge = twin(self.recharge)
        own.sequences = twin(self.sequences)
        return own


class Stretch(msgspec.Struct, frozen=True):
    """What a user held from `since` (None: the beginning of time) until the next stretch.

    `profile` is country and licences as one string: the key under which classification is cached;
    `own_plan` that one of the licences is counted per user (rule 7).
    """

    since: datetime | None
    country: str | None
    skus: tuple[str, ...]
    profile: str
    own_plan: bool = False


class User(msgspec.Struct, frozen=True):
    """A user as a time line of stretches (rules 2, 14), with what it may do; `user` is the spelling that is shown.

    One who is only known from records (`configured` is false) is kept for its spelling and holds nothing (A40).
    """

    user: str
    timeline: tuple[Stretch, ...]
    restricted_since: datetime | None = None
    outbound_policy: str | None = None
    toll_free_dial_in: bool = True
    configured: bool = True


class Alias(msgspec.Struct, frozen=True):
    """Another name of a user, or its object id, as a configuration said: the key of the user (A40)."""

    user: str


class PoolMonth(msgspec.Struct):
    """What was used of one minute pool in one month, and which events were emitted.

    `total` was counted at `counted`, a revision of the tenant's licences; it is only kept while nobody joined
    within the month, because then it does not depend on the instant.
    """

    total: int = 0
    counted: int = -1
    used: int = 0
    warned: bool = False
    exhausted_at: int = 0


class Share(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Micro-units of a charge that a lot paid; for what became debt, with where it begins on the line of debts."""

    lot: str
    amount: int
    owed_from: int | None = None


class LiveCall(msgspec.Struct, frozen=True, gc=False):
    """The live version of a usage id: enough to recognise a duplicate and to reverse it (A12).

    `rating` counts how often this version was rated again.
    """

    version: int
    content: str
    month: int
    charge: int = 0
    pools: tuple[tuple[str, int], ...] = ()
    lots: tuple[Share, ...] = ()
    rating: int = 0
    #: Where brakes counted it (A50); absent from the bytes of a call that none counted.
    brakes: tuple[BrakeShare, ...] | UnsetType = UNSET


class Seen(msgspec.Struct, frozen=True, omit_defaults=True):
    """A command or a dead letter that was applied: the same one again changes nothing.

    `said` is what a command said, in short: of one about money "funds_added 70.5 USD #" and a digest of all that it
    says, of others the kind alone; of a recharge, its amount and results; of the dead letter of a held call, and of
    its acceptance, which call with which content (A44); None for another dead letter, and where a rater that did
    not keep it yet applied the command.
    """

    at: datetime
    said: str | None = None


Entity = (
    Account
    | User
    | Alias
    | Holders
    | JoinsOfMonth
    | JoinedPage
    | PoolMonth
    | Restricted
    | RestrictedPage
    | LiveCall
    | Seen
    | LotPage
    | ShelvedLot
    | DebtPage
    | LotHistory
    | Spent
    | StoppedList
)
