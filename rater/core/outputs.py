"""What comes out: the records of the output topics.  One definition each, for wire and rules alike.

The three that a stream is made of (`RatedCall`, `Debit`, `Balance`) are built by position, in one place each:
msgspec looks keyword arguments up one by one, which for 47 fields takes 30 times as long.

Every output has a tenant, a deterministic id, the source of the input that caused it and a `sequence`
that is gapless per tenant and topic.  Money is a decimal string in major units.

msgspec leaves out a field that *is* its default: which of two equal strings it is may differ from one Python to the
next.  So a string has no default other than None or UNSET, unless the field is always written (`_zero`).
"""

from datetime import datetime
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from rater.core.inputs import Source
from rater.core.reasons import Anomaly, CallType, DebitKind, EventKind, LotKind, NumberType, Outcome, Pocket, Reason


def _zero() -> str:
    """A default that readers use and that writers never leave out, because a factory is not compared."""
    return "0"


class LotShare(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How much of a segment's charge one purchase paid; `lot` is empty for what became debt.

    Debt is paid in the order in which it was incurred: `owed_from` is all that the tenant ever owed before.
    """

    lot: str
    amount: str
    owed_from: str | None = None


class Segment(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Minutes of a call that one pocket covered; `charge` is there where they were priced, at zero too.

    `pool`, `pool_used_before`, `pool_used_after` and `pool_total` are there for pocket `pool`;
    `lots` for pocket `credit`.
    """

    pocket: Pocket
    minutes: int
    charge: str | UnsetType = UNSET
    pool: str | None = None
    pool_used_before: int | None = None
    pool_used_after: int | None = None
    pool_total: int | None = None
    lots: tuple[LotShare, ...] = ()


class BrakeCount(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A brake that counted the call's charge, in which window; `over`: the call began after its limit was reached.

    `subject` is the country or the class of number, where the brake is about these; with the scope tenant or user
    it is a country that was new.
    """

    brake: str
    scope: str
    window: str
    start: datetime
    subject: str | None = None
    over: bool = False


class RatedCall(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A call with everything that explains its price; the `rated-calls` topic is the dedupe log too.

    `minutes` is the sum of the segments' minutes; `charge` what was debited, connection fee included;
    `rule` names the row of the decision table; the rate fields are there where a rate was used.
    `rating` counts how often this version was rated again with another deck, `reason` says why.
    """

    tenant: str
    id: str
    sequence: int
    source: Source
    usage_id: str
    version: int
    outcome: Outcome
    content: str
    type: CallType
    answered_at: datetime
    duration_s: int
    received_at: datetime
    period: str
    minutes: int
    rule: str
    currency: str
    charge: str
    balance: str
    segments: tuple[Segment, ...] = ()
    unfunded_charge: str = msgspec.field(default_factory=_zero)
    connection_fee: str = msgspec.field(default_factory=_zero)
    late: bool = False
    capability: str | None = None
    user: str | None = None
    calling: str | None = None
    called: str | None = None
    number_type: NumberType = NumberType.TOLL
    context: Literal["domestic", "international"] | None = None
    user_country: str | None = None
    country: str | None = None
    destination: str | None = None
    deck: str | None = None
    prefix: str | None = None
    price_per_minute: str | None = None
    increments: str | None = None
    billed_overflow_s: int | None = None
    authorized_s: int | None = None
    call_id: str | None = None
    conference_id: str | None = None
    user_object_id: str | None = None
    user_display_name: str | None = None
    corrects_version: int | None = None
    anomalies: tuple[Anomaly, ...] = ()
    rating: int = 0
    reason: str | None = None
    brakes: tuple[BrakeCount, ...] = ()


class Debit(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Money that left the balance; a reversal is negative.  What downstream billing consumes.

    `command_id` is that of the command that moved it by hand (A45).
    """

    tenant: str
    id: str
    sequence: int
    source: Source
    kind: DebitKind
    at: datetime
    amount: str
    currency: str
    balance: str
    usage_id: str | None = None
    version: int | None = None
    user: str | None = None
    period: str | None = None
    lots: tuple[LotShare, ...] = ()
    command_id: str | None = None


class LotState(msgspec.Struct, frozen=True, gc=False):
    """A purchase of credit with money left."""

    lot: str
    remaining: str
    purchased_at: datetime
    expires_at: datetime


class Balance(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The tenant's balance after the last change of a batch: state, compacted, drives decisions.

    `revision` counts ledger entries; `low_since` and `depleted_since` are the revisions at which the
    balance last crossed below the trigger, and from above zero to zero or below.  `lots` are those that are used
    next; `lots_total` says how many have money left, where that is more.
    """

    tenant: str
    id: str
    sequence: int
    source: Source
    at: datetime
    revision: int
    currency: str
    balance: str
    credits: Literal["enabled", "not_set_up"]
    recharge_enabled: bool
    recharge_trigger: str
    recharge_amount: str
    recharge_in_flight: str | None = None
    recharge_attempt: int = 0
    recharge_failures: int = 0
    recharge_retry_at: datetime | None = None
    recharge_suppressed: bool = False
    recharge_requests: tuple[datetime, ...] = ()
    low_since: int | None = None
    depleted_since: int | None = None
    lots: tuple[LotState, ...] = ()
    lots_total: int | None = None
    recharge_stopped: bool = False
    closed_since: datetime | None = None


class AccountEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to a tenant: history, one record each, never coalesced."""

    tenant: str
    id: str
    sequence: int
    source: Source
    event: EventKind
    at: datetime
    balance: str | None = None
    amount: str | None = None
    currency: str | None = None
    pool: str | None = None
    used: int | None = None
    total: int | None = None
    user: str | None = None
    usage_id: str | None = None
    lot: str | None = None
    recharge_id: str | None = None
    sku: str | None = None
    command_id: str | None = None
    reason: str | None = None
    by: str | None = None
    lot_kind: LotKind | None = None
    brake: str | None = None
    subject: str | None = None


class RechargeRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A payment to collect; `id` is the idempotency key at the gateway."""

    tenant: str
    id: str
    sequence: int
    source: Source
    at: datetime
    amount: str
    currency: str
    attempt: int
    low_since: int
    balance: str


class ServiceState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """May credit-funded calls start (scope `tenant`), may this user call out (scope `user`).

    While a tenant is `closed` no call may start but emergency calls.  Scope `brake`: calls that spend credit are
    refused `until` then, of the user, or of the country or class of number that `subject` names, else of all (A50).
    """

    tenant: str
    id: str
    sequence: int
    source: Source
    scope: Literal["tenant", "user", "brake"]
    state: Literal["active", "suspended", "closed", "allowed", "restricted"]
    since: datetime
    reason: str
    user: str | None = None
    brake: str | None = None
    subject: str | None = None
    until: datetime | None = None

    @property
    def name(self) -> str | None:
        """What the state is about within the tenant, as part of its key; None: the tenant itself."""
        if self.brake is None:
            return self.user
        about = "/".join([one for one in (self.subject, self.user) if one is not None])
        return f"Brake/{self.brake}/{about}"


class MappedBy(msgspec.Struct, frozen=True):
    """The mapping that read a switch's record: its name, the hash of its content, and what loads it again."""

    name: str
    version: str
    place: str


class RejectedCdr(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A record or command that was refused, with the reason and the raw bytes, so that nothing is lost.

    `format` (absent: that of `cdrs`), `header`, `times` and `zone` (of local times) say how to read the bytes again
    when they are replayed; `mapping` is there where `format` is `mapping`, `version` where a person gave one to the
    calls of a file.  Of very long ones only the beginning is in `raw` (`raw_cut`); `raw_length` and `raw_hash`
    (BLAKE2b, 128 bits) are those of the whole, which stands at `source`; the same for the header.
    """

    tenant: str
    id: str
    sequence: int
    source: Source
    reason: Reason
    message: str
    raw: str
    raw_encoding: Literal["utf-8", "base64"]
    raw_cut: bool = False
    raw_length: int | None = None
    raw_hash: str | None = None
    format: str | UnsetType = UNSET
    header: str | None = None
    header_cut: bool = False
    header_length: int | None = None
    header_hash: str | None = None
    field: str | None = None
    usage_id: str | None = None
    claimed_tenant: str | None = None
    times: str | None = None
    zone: str | None = None
    mapping: MappedBy | None = None
    version: int | None = None


Output = RatedCall | Debit | Balance | AccountEvent | RechargeRequest | ServiceState | RejectedCdr

TOPIC_OF: dict[type, str] = {
    RatedCall: "rated-calls",
    Debit: "debits",
    Balance: "balances",
    AccountEvent: "account-events",
    RechargeRequest: "recharges",
    ServiceState: "service-states",
    RejectedCdr: "rejected-cdrs",
}
OUTPUT_TOPICS = tuple(TOPIC_OF.values())
