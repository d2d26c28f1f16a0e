"""The scenario file: exactly the format that FORMAT.md describes."""

from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rater.core import (
    EXPONENTS,
    ISO_COUNTRIES,
    POLICIES,
    DebitKind,
    EventKind,
    Outcome,
    Pocket,
    parse_ledger,
    parse_micros,
)

#: Events that a scenario may expect; others are emitted too, but are not part of the format.
EXPECTED_EVENTS = tuple(
    kind.value for kind in list(EventKind)[: list(EventKind).index(EventKind.TENANT_CONFIGURED)]
)

#: Stands between the parts of the ids that the rater gives to a scenario's steps; no name may have it.
OWN_ID_SEPARATOR = "\N{SYMBOL FOR RECORD SEPARATOR}"


def _amount(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        raise ValueError(f'expected money as a quoted decimal string such as "74.948", got {value!r}')
    return value


def _checked_amount(value: str) -> str:
    parse_micros(value)
    return value


def _checked_ledger(value: str) -> str:
    parse_ledger(value)
    return value


def _identifier(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _without_separator(value: str) -> str:
    if OWN_ID_SEPARATOR in value:
        raise ValueError(f"expected a name without {OWN_ID_SEPARATOR}, which the rater uses in ids of its own")
    return value


def _country(value: Any) -> Any:
    if value is False:
        raise ValueError('expected a country; YAML reads an unquoted NO as "false": write "NO"')
    if value not in ISO_COUNTRIES:
        raise ValueError(f"expected an ISO 3166-1 alpha-2 code such as US, got {value!r}")
    return value


def _currency(value: Any) -> Any:
    if not isinstance(value, str) or value not in EXPONENTS:
        raise ValueError(f"expected an ISO 4217 code such as USD, got {value!r}")
    return value


def _policy(value: str) -> str:
    if value not in POLICIES:
        raise ValueError(f"expected one of {', '.join(sorted(POLICIES))}, got {value!r}")
    return value


def _known_event(value: str) -> str:
    if value not in EXPECTED_EVENTS:
        raise ValueError(f"expected one of {', '.join(EXPECTED_EVENTS)}, got {value!r}")
    return value


Money = Annotated[str, BeforeValidator(_amount), AfterValidator(_checked_amount)]
#: What the rater wrote: charges and balances may be larger than any amount that comes in.
LedgerMoney = Annotated[str, BeforeValidator(_amount), AfterValidator(_checked_ledger)]
Name = Annotated[str, BeforeValidator(_identifier), AfterValidator(_without_separator), Field(min_length=1)]
Country = Annotated[str, BeforeValidator(_country)]
Currency = Annotated[str, BeforeValidator(_currency)]
Policy = Annotated[str, AfterValidator(_policy)]
EventName = Annotated[str, AfterValidator(_known_event)]
Instant = AwareDatetime


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Recharge(_Part):
    """`recharge: {enabled, trigger, amount}`."""

    enabled: bool | None = None
    trigger: Money | None = None
    amount: Money | None = None


class Tenant(_Part):
    """The tenant that is provisioned before the first step."""

    id: Name
    currency: Currency = "USD"
    country: Country | None = None
    credits: Literal["enabled", "not_set_up"] = "enabled"
    audio_conferencing_licenses: int = Field(default=0, ge=0)
    recharge: Recharge = Recharge(enabled=False)
    domains: tuple[Name, ...] = ()


class DatedLicense(_Part):
    """A licence held for a time: `{sku, from, to}`."""

    sku: Name
    since: Instant | None = Field(default=None, alias="from")
    until: Instant | None = Field(default=None, alias="to")

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.since and self.until and self.until <= self.since:
            raise ValueError("expected `to` after `from`")
        return self


class User(_Part):
    """A user with country and licences."""

    id: Name
    country: Country | None = None
    licenses: tuple[Name | DatedLicense, ...] = ()
    outbound_policy: Policy | None = None


class Fund(_Part):
    """A purchase of credit, or a promotion (A46)."""

    id: Name
    amount: Annotated[str, BeforeValidator(_amount)]
    at: Instant
    source: Literal["manual", "auto_recharge", "promotion"] = "manual"
    currency: str | None = None
    expires: Instant | None = None


class Adjust(_Part):
    """Money by hand, with its sign (A45); a positive amount makes a lot that is named by `id`."""

    id: Name
    amount: Annotated[str, BeforeValidator(_amount)]
    at: Instant
    reason: str
    by: str
    currency: str | None = None
    expires: Instant | None = None


class Refund(_Part):
    """Money of a purchase is paid out (A45)."""

    id: Name
    lot: Name
    amount: Annotated[str, BeforeValidator(_amount)]
    at: Instant
    reason: str | None = None
    by: str | None = None


class ReversePayment(_Part):
    """The bank takes a payment back (A45)."""

    id: Name
    lot: Name
    at: Instant
    reason: str | None = None
    by: str | None = None


class Close(_Part):
    """The tenant is closed."""

    id: Name
    at: Instant
    remainder: Literal["pay_out", "forfeit"]
    reason: str
    by: str


class Reopen(_Part):
    """The tenant is open again."""

    id: Name
    at: Instant
    reason: str
    by: str


class Cdr(_Part):
    """A call-detail record as it arrives; values go to the engine as they are, so that it may refuse them."""

    id: Name
    type: Any
    start: Any
    seconds: Any = None
    version: Any = None
    call_id: Any = None
    user: Any = None
    calling: Any = None
    called: Any = None
    number_type: Any = None
    authorized_seconds: Any = None
    received: Any = None
    emergency: Any = None
    tenant: Any = None
    currency: Any = None
    end: Any = None
    destination: Any = None
    conference_id: Any = None
    user_country: Any = None


class License(_Part):
    """An entitlement change, effective at `at`."""

    user: Name
    at: Instant
    assign: Name | None = None
    remove: Name | None = None
    country: Country | None = None


class Configure(_Part):
    """The tenant's settings change."""

    at: Instant
    credits: Literal["enabled", "not_set_up"] | None = None
    recharge: Recharge | None = None
    audio_conferencing_licenses: int | None = Field(default=None, ge=0)
    payment_method: Literal["replaced"] | None = None
    call_duration_max_s: int | None = Field(default=None, ge=1)
    balance_alerts: tuple[Money, ...] | None = None
    country: Country | None = None
    domains: tuple[Name, ...] | None = None


class Payment(_Part):
    """The gateway answers the recharge in flight, else the last one (A47); `id` names it and its lot."""

    result: Literal["succeeded", "failed"]
    at: Instant
    reason: str = "declined"
    id: Name | None = None


class Accept(_Part):
    """A person lets a held record through (A44); `id` is that of the record."""

    id: Name
    at: Instant


class Activate(_Part):
    """Calls that start at `from` or later, or all, are priced with another deck, a file beside the scenario."""

    deck: str
    at: Instant
    since: Instant | None = Field(default=None, alias="from")


class Rerate(_Part):
    """A call is rated again with another deck; `rating` is the number that the new rating gets.

    `version` and `rating` say which rating was looked at, where it is not the last.
    """

    id: Name
    deck: str
    at: Instant
    version: int | None = Field(default=None, ge=1)
    rating: int | None = Field(default=None, ge=1)
    reason: str | None = None


class Brake(_Part):
    """A limit on spending is set (A50); `mode: off` takes it away."""

    brake: Name
    at: Instant
    limit: Annotated[str, BeforeValidator(_amount)]
    mode: Literal["off", "shadow", "notify", "stop"]
    scope: Literal["tenant", "user", "country", "class"] = "tenant"
    measure: Literal["spend", "new_countries", "calls_at_once"] = "spend"
    window: Literal["hour", "day", "month"] = "day"
    only: Name | None = None


class ReleaseBrake(_Part):
    """A person ends what a brake stops (A50)."""

    brake: Name
    at: Instant
    subject: Name | None = None
    country: Name | None = None


class CallsOver(_Part):
    """Calls were asked for beyond a brake on calls at once (A50)."""

    brake: Name
    at: Instant
    calls: int = Field(ge=1)
    most: int = Field(ge=1)
    subject: Name | None = None


class Tick(_Part):
    """Time passes."""

    at: Instant


class ExpectedSegment(_Part):
    """One segment of the rated call."""

    pocket: Pocket
    minutes: int | None = None
    charge: LedgerMoney | None = None


class ExpectedLot(_Part):
    """A lot with money left."""

    id: Name
    remaining: LedgerMoney


class ExpectedPool(_Part):
    """A pool's use."""

    used: int | None = None
    total: int | None = None


class ExpectedDebit(_Part):
    """A debit caused by the step."""

    amount: LedgerMoney
    kind: DebitKind


class ExpectedBrake(_Part):
    """A service state of a brake that the step caused."""

    brake: Name
    state: Literal["restricted", "allowed"]
    user: Name | None = None
    subject: Name | None = None
    until: Instant | None = None


class Expect(_Part):
    """What must come out; what is not named is not looked at."""

    outcome: Outcome | None = None
    reason: str | None = None
    minutes: int | None = None
    segments: tuple[ExpectedSegment, ...] | None = None
    charge: LedgerMoney | None = None
    unfunded_charge: LedgerMoney | None = None
    capability: str | None = None
    period: str | None = None
    late: bool | None = None
    balance: LedgerMoney | None = None
    lots: tuple[ExpectedLot, ...] | None = None
    pools: dict[str, ExpectedPool] | None = None
    events: tuple[EventName, ...] | None = None
    debits: tuple[ExpectedDebit, ...] | None = None
    brakes: tuple[ExpectedBrake, ...] | None = None
    over_brakes: tuple[Name, ...] | None = None
    call_credit_services: Literal["active", "suspended", "closed"] | None = None


Action = (
    Fund
    | Cdr
    | License
    | Configure
    | Payment
    | Accept
    | Adjust
    | Refund
    | ReversePayment
    | Close
    | Reopen
    | Activate
    | Rerate
    | Brake
    | ReleaseBrake
    | CallsOver
    | Tick
)


class Step(_Part):
    """Exactly one action, and optionally what it must cause."""

    fund: Fund | None = None
    cdr: Cdr | None = None
    license: License | None = None
    configure: Configure | None = None
    payment: Payment | None = None
    accept: Accept | None = None
    adjust: Adjust | None = None
    refund: Refund | None = None
    reverse_payment: ReversePayment | None = None
    close: Close | None = None
    reopen: Reopen | None = None
    activate: Activate | None = None
    rerate: Rerate | None = None
    brake: Brake | None = None
    release_brake: ReleaseBrake | None = None
    calls_over: CallsOver | None = None
    tick: Tick | None = None
    expect: Expect = Expect()

    @property
    def action(self) -> Action:
        """The one action of the step."""
        action: Action | None = next(found for name in ACTIONS if (found := getattr(self, name)) is not None)
        assert action is not None
        return action


ACTIONS = tuple(name for name in Step.model_fields if name != "expect")


class Scenario(_Part):
    """One file."""

    scenario: str
    rate_deck: str
    settings: dict[str, Any] = {}
    tenant: Tenant
    users: tuple[User, ...] = ()
    steps: tuple[Step, ...]

    @property
    def more_decks(self) -> tuple[str, ...]:
        """The decks that steps name beside the first."""
        named = [part.deck for step in self.steps for part in (step.activate, step.rerate) if part is not None]
        return tuple(dict.fromkeys(deck for deck in named if deck != self.rate_deck))

    @model_validator(mode="after")
    def _every_user_once(self) -> Self:
        twice = [id for id, times in Counter(user.id for user in self.users).items() if times > 1]
        if twice:
            raise ValueError(f"users: expected every user once, got {twice[0]!r} again")
        return self
