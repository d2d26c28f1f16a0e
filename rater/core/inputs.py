"""What comes in: call-detail records, commands, rate rows.  One definition each, for wire and rules alike.

Money is a decimal string on the wire and becomes micro-units where it is applied.  Times must carry
a zone.  Unknown fields are allowed and kept out of rating.

As in `rater.core.outputs`, no text has a default other than None or UNSET: msgspec leaves out a field that *is* its
default, and which of two equal texts it is may differ from one Python to the next.
"""

import re
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from rater.core.reasons import CallType, NumberType

#: Longer than any call that a switch keeps up; a larger number is a broken clock.
DURATION_S_MAX = 366 * 86_400
#: As large as a whole number that every JSON reader keeps exact.
SWITCH_SEQUENCE_MAX = 2**53
IDENTIFIER_LENGTH_MAX = 128

#: The very end of a text, in Python and in ECMAScript: `$` lets a line feed pass in Python.
END = r"(?![\s\S])"
#: C0, DEL and C1.  In an identifier they would make two tenants share ids, which join parts with NUL.
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]")

#: Without control characters; the decoders look for them, since a pattern would be searched in each call record.
Identifier = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=IDENTIFIER_LENGTH_MAX,
        extra_json_schema={"pattern": rf"^[^\u0000-\u001f\u007f-\u009f]*{END}"},
    ),
]
Number = Annotated[str, Meta(max_length=64)]
Domain = Annotated[str, Meta(min_length=1, max_length=253)]
Text = Annotated[str, Meta(max_length=256)]
Instant = Annotated[datetime, Meta(tz=True)]
Seconds = Annotated[int, Meta(ge=-(2**31), le=DURATION_S_MAX)]
Amount = Annotated[str, Meta(max_length=40, description="decimal string in major units, at most six decimals")]
BrakeName = Annotated[str, Meta(pattern=rf"^[a-z0-9-]{{1,40}}{END}", description="small letters, digits, dashes")]
Currency = Annotated[str, Meta(pattern=rf"^[A-Z]{{3}}{END}", description="ISO 4217")]
Country = Annotated[str, Meta(pattern=rf"^[A-Z]{{2}}{END}", description="ISO 3166-1 alpha-2")]


#: The tenant under which outputs are kept that no known tenant caused.
NO_TENANT = "-"
#: The tenant of a command for all of them, also for those that are configured later.
EVERY_TENANT = "*"
RESERVED_TENANTS = frozenset({NO_TENANT, EVERY_TENANT})


class Source(msgspec.Struct, frozen=True, gc=False):
    """Where an input was read: topic (or file), partition, offset (or row)."""

    topic: str
    partition: int
    offset: int


class CallRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A call-detail record of the `cdrs` topic, keyed by tenant.

    `usage_id` is the idempotency key (rule 68).  `answered_at` decides the month (rule 69).  Without a duration the
    call was not connected (rule 73).  `authorized_s` is there when the rater itself ordered the disconnect (A22).
    `switch` names the switch that wrote the record, `switch_sequence` is that switch's number of it: by them it is
    noticed that records are missing.  They are neither rated nor compared.
    """

    tenant: Identifier
    usage_id: Identifier
    type: CallType
    answered_at: Instant
    duration_s: Seconds = 0
    version: Annotated[int, Meta(ge=1, le=2**31)] = 1
    user: Identifier | None = None
    calling: Number | None = None
    called: Number | None = None
    number_type: NumberType = NumberType.TOLL
    ended_at: Instant | None = None
    authorized_s: Annotated[int, Meta(ge=0, le=DURATION_S_MAX)] | None = None
    emergency: bool | None = None
    currency: Currency | None = None
    call_id: Text | None = None
    conference_id: Text | None = None
    destination: Text | None = None
    user_country: Country | None = None
    user_object_id: Text | None = None
    user_display_name: Text | None = None
    reported_capability: Text | None = None
    # These three stay last: what a call says is compared up to them (content_hash).
    received_at: Instant | None = None
    switch: Identifier | None = None
    switch_sequence: Annotated[int, Meta(ge=0, le=SWITCH_SEQUENCE_MAX)] | None = None


class RechargeSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Auto-recharge: below `trigger`, add the fixed `amount` (rules 58, 59).  Absent fields stay as they were."""

    enabled: bool | None = None
    trigger: Amount | None = None
    amount: Amount | None = None


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="command", omit_defaults=True):
    """Commands of people, the gateway and the clock; idempotent by `id` within a tenant."""

    tenant: Identifier
    id: Identifier
    at: Instant


class TenantConfigured(Command, frozen=True, kw_only=True, tag="tenant_configured", omit_defaults=True):
    """A tenant is set up or its settings change.  The first one must name the currency."""

    currency: Currency | None = None
    country: Country | None = None
    credits: Literal["enabled", "not_set_up"] | None = None
    audio_conferencing_licenses: Annotated[int, Meta(ge=0, le=10_000_000)] | None = None
    recharge: RechargeSettings | None = None
    payment_method: Literal["replaced"] | None = None
    domains: (
        Annotated[tuple[Domain, ...], Meta(max_length=1000, description="the tenant's own SIP domains")] | None
    ) = None
    call_duration_max_s: Annotated[int, Meta(ge=1, le=DURATION_S_MAX)] | None = None
    balance_alerts: (
        Annotated[tuple[Amount, ...], Meta(max_length=20, description="notify when the balance falls below them")]
        | None
    ) = None


class UserConfigured(Command, frozen=True, kw_only=True, tag="user_configured", omit_defaults=True):
    """What a user may do: outbound policy (rule 24), toll-free dial-in for its meetings (rule 43b).

    `object_id` is the user's id in the directory: records of another name with this id are this user's, and a new
    name that is configured with an id that is known already is another name of the same user (A40).
    """

    user: Identifier
    country: Country | None = None
    object_id: Identifier | None = None
    outbound_policy: Text | None = None
    toll_free_dial_in: bool | None = None


class LicenseAssigned(Command, frozen=True, kw_only=True, tag="license_assigned", omit_defaults=True):
    """A licence is effective from `effective_from` (default: from the beginning of time if `None` and
    `since_ever`, else from `at`) until `effective_to` (rule 14)."""

    user: Identifier
    sku: Identifier
    country: Country | None = None
    effective_from: Instant | None = None
    effective_to: Instant | None = None
    since_ever: bool = False


class LicenseRemoved(Command, frozen=True, kw_only=True, tag="license_removed", omit_defaults=True):
    """A licence is removed with effect from `effective_from` (default `at`)."""

    user: Identifier
    sku: Identifier
    country: Country | None = None
    effective_from: Instant | None = None


class UserErased(Command, frozen=True, kw_only=True, tag="user_erased", omit_defaults=True):
    """A user is known under a pseudonym from now on: why, and who decided.

    `also` are its other names and its object ids.  `key` is what names are hashed with, 32 letters or more that
    nobody can guess; it counts for the tenant's first erasure, which keeps it.
    """

    user: Identifier
    key: Annotated[str, Meta(min_length=32, max_length=256)]
    also: Annotated[tuple[Identifier, ...], Meta(max_length=100)] = ()
    reason: Text | None = None
    by: Text | None = None


class FundsAdded(Command, frozen=True, kw_only=True, tag="funds_added", omit_defaults=True):
    """A purchase of credit: one lot that expires on its own (rules 60, 63, 64); `source` is `manual` if absent.

    A promotion must say when it `expires`, and nothing else may (A46).  `by` is who added it, if a person did.
    """

    amount: Amount
    currency: Currency | None = None
    source: Literal["manual", "auto_recharge", "promotion"] | UnsetType = UNSET
    purchase_order: Text | None = None
    agreement: Text | None = None
    expires: Instant | None = None
    by: Text | None = None


class FundsAdjusted(Command, frozen=True, kw_only=True, tag="funds_adjusted", omit_defaults=True):
    """A person gives money, or takes it off where the amount is below zero: why, and who (A45).

    Money that is given is a lot, named by `id`; it may say when it `expires`.  `usage_id` names the call that the
    adjustment is about.
    """

    amount: Amount
    reason: Text
    by: Text
    currency: Currency | None = None
    expires: Instant | None = None
    usage_id: Identifier | None = None


class FundsRefunded(Command, frozen=True, kw_only=True, tag="funds_refunded", omit_defaults=True):
    """Money of a purchase is paid out: at most what is left of it (A45)."""

    lot: Identifier
    amount: Amount
    currency: Currency | None = None
    reason: Text | None = None
    by: Text | None = None


class PaymentReversed(Command, frozen=True, kw_only=True, tag="payment_reversed", omit_defaults=True):
    """The bank took the payment of a purchase back: a charge-back, once for each lot (A45)."""

    lot: Identifier
    reason: Text | None = None
    by: Text | None = None


class TenantClosed(Command, frozen=True, kw_only=True, tag="tenant_closed", omit_defaults=True):
    """The tenant is closed as of `at`: why, and who.

    What is left of the credit is paid out or forfeited; promotions are forfeited in any case.
    """

    remainder: Literal["pay_out", "forfeit"]
    reason: Text
    by: Text


class TenantReopened(Command, frozen=True, kw_only=True, tag="tenant_reopened", omit_defaults=True):
    """A closed tenant is open again as of `at`, without the money that was paid out or forfeited."""

    reason: Text
    by: Text


class PaymentSucceeded(Command, frozen=True, kw_only=True, tag="payment_succeeded", omit_defaults=True):
    """The gateway collected the recharge; `recharge_id` absent means the one in flight."""

    recharge_id: Identifier | None = None
    amount: Amount | None = None
    currency: Currency | None = None


class PaymentFailed(Command, frozen=True, kw_only=True, tag="payment_failed", omit_defaults=True):
    """The gateway declined the recharge (rule 62, A8); `reason` is `declined` if absent."""

    recharge_id: Identifier | None = None
    reason: Text | UnsetType = UNSET


class CallAccepted(Command, frozen=True, kw_only=True, tag="call_accepted", omit_defaults=True):
    """A person lets a held record through (A44): `letter` is the id of its dead letter, `by` who decided."""

    letter: Identifier
    by: Text | None = None


class CallRerated(Command, frozen=True, kw_only=True, tag="call_rerated", omit_defaults=True):
    """A call is rated again with another deck, as its rating number `rating`.

    `call` and `late` are what `rated-calls` says of it, `content` the hash of what the switch said.
    """

    call: CallRecord
    content: Text
    rating: Annotated[int, Meta(ge=1, le=2**31)]
    deck: Identifier
    late: bool = False
    reason: Text | None = None
    by: Text | None = None


class BrakeConfigured(Command, frozen=True, kw_only=True, tag="brake_configured", omit_defaults=True):
    """A limit on spending is set, in the place of the one of its name (A50).

    `limit` is money, of new countries for each of them, or how many calls may run at once; `only` names one user,
    country or class of number.
    """

    brake: BrakeName
    scope: Literal["tenant", "user", "country", "class"]
    measure: Literal["spend", "new_countries", "calls_at_once"]
    window: Literal["hour", "day", "month"]
    limit: Amount
    mode: Literal["off", "shadow", "notify", "stop"]
    only: Identifier | None = None


class BrakeReleased(Command, frozen=True, kw_only=True, tag="brake_released", omit_defaults=True):
    """A person ends what a brake stops, until its present window is over: why, and who (A50).

    `subject` is the user, country or class of number, where the brake is about these.  Of a brake on new countries
    `country` is one that is not new from now on.
    """

    brake: BrakeName
    subject: Identifier | None = None
    country: Country | None = None
    reason: Text | None = None
    by: Text | None = None


class CallsOverBrake(Command, frozen=True, kw_only=True, tag="calls_over_brake", omit_defaults=True):
    """So many calls were asked for beyond a brake on calls at once (A50); who answers switches counts them.

    `subject` is its user, country or class of number; with the most of them, `most` calls would have run at once.
    """

    brake: BrakeName
    subject: Identifier | None = None
    calls: Annotated[int, Meta(ge=1, le=2**31)]
    most: Annotated[int, Meta(ge=1, le=2**31)]


class Tick(Command, frozen=True, kw_only=True, tag="tick", omit_defaults=True):
    """Time has passed for this tenant: expiry, month starts and retries up to `at` are due."""


class DeckActivated(Command, frozen=True, kw_only=True, tag="deck_activated", omit_defaults=True):
    """From `effective_from` (by call start; absent: always) calls are priced with deck `version`."""

    version: Identifier
    effective_from: Instant | None = None


AnyCommand = (
    TenantConfigured
    | UserConfigured
    | LicenseAssigned
    | LicenseRemoved
    | UserErased
    | FundsAdded
    | FundsAdjusted
    | FundsRefunded
    | PaymentReversed
    | TenantClosed
    | TenantReopened
    | PaymentSucceeded
    | PaymentFailed
    | CallAccepted
    | CallRerated
    | BrakeConfigured
    | BrakeReleased
    | CallsOverBrake
    | Tick
    | DeckActivated
)

#: What a person says about money: they share one space of ids, and all they say is content (A45).
MoneyByHand = FundsAdded | FundsAdjusted | FundsRefunded | PaymentReversed | TenantClosed | TenantReopened


class RateRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of a rate deck; a price is per minute, `direction` says which number is matched.

    There is no connection fee if it is absent.
    """

    direction: Literal["outbound", "toll_free_inbound"]
    prefix: Annotated[str, Meta(pattern=rf"^(\*|[0-9]{{1,15}}){END}")]
    destination: Text
    country: Country | None = None
    type: Literal["landline", "mobile", "premium", "unsupported", "toll_free"]
    price_per_minute: Amount
    connection_fee: Amount | UnsetType = UNSET
    increment_first_s: Annotated[int, Meta(ge=1, le=3600)] = 60
    increment_next_s: Annotated[int, Meta(ge=1, le=3600)] = 60
    valid_from: Instant | None = None
    valid_to: Instant | None = None


class RateDeck(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An immutable version of a price list, the value of the `rate-decks` topic, keyed by `version`."""

    version: Identifier
    currency: Currency
    published_at: Instant | None = None
    rows: tuple[RateRow, ...]
