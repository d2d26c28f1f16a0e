"""What people type about a tenant: checked, and turned into the commands of `rater.core.inputs`.

Stricter than the rules are with machines: known currencies and countries, whole amounts from a minimum on
(rule 61).
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar
from uuid import uuid4

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from rater.core import (
    DURATION_S_MAX,
    IDENTIFIER_LENGTH_MAX,
    ISO_COUNTRIES,
    MICROS_PER_UNIT,
    RESERVED_TENANTS,
    SKUS,
    FundsAdded,
    LicenseAssigned,
    LicenseRemoved,
    MoneyError,
    RechargeSettings,
    TenantConfigured,
    UserErased,
    meant_country,
    parse_micros,
    sku,
)
from rater.ops.metrics import labels
from rater.wire.errors import RaterError
from rater.wire.words import did_you_mean

#: Rule 61: "a whole number greater than or equal to 50".
AMOUNT_MIN = 50


def _amount(text: str) -> str:
    try:
        micros = parse_micros(text)
    except MoneyError as wrong:
        raise ValueError(str(wrong)) from None
    if micros % MICROS_PER_UNIT or micros < AMOUNT_MIN * MICROS_PER_UNIT:
        raise ValueError(
            f"expected a whole amount of at least {AMOUNT_MIN}, got {text}; that is the minimum of what people type"
            " (rule 61), a file for rater run --commands may say any amount"
        )
    return text


def _currency(code: str) -> str:
    known = code.upper()
    if known not in labels.CURRENCY.values or known == labels.NO_CURRENCY:
        raise ValueError(f"expected an ISO 4217 currency such as USD, got {code!r}")
    return known


def _country(code: str) -> str:
    if code.upper() not in ISO_COUNTRIES:
        raise ValueError(f"expected an ISO 3166-1 alpha-2 country such as DE, got {code!r}{meant_country(code)}")
    return code.upper()


def _tenant(name: str) -> str:
    if name in RESERVED_TENANTS or not name.isprintable() or name != name.strip():
        raise ValueError(f"expected a tenant's name, got {name!r}")
    return name


Name = Annotated[str, Field(min_length=1, max_length=IDENTIFIER_LENGTH_MAX)]
Tenant = Annotated[Name, AfterValidator(_tenant)]
Amount = Annotated[str, AfterValidator(_amount)]
Currency = Annotated[str, AfterValidator(_currency)]
Country = Annotated[str, AfterValidator(_country)]


class Order(BaseModel):
    """What every order says; the same `id` again changes nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: Tenant
    id: Name = Field(default_factory=lambda: uuid4().hex)
    at: AwareDatetime


class Settings(Order):
    """A tenant's settings; what is absent stays as it is."""

    currency: Currency | None = None
    country: Country | None = None
    credits: Literal["enabled", "not_set_up"] | None = None
    audio_conferencing_licenses: int | None = Field(default=None, ge=0, le=10_000_000)
    recharge: bool | None = None
    recharge_trigger: Amount | None = None
    recharge_amount: Amount | None = None
    payment_method_replaced: bool = False
    domains: tuple[Name, ...] | None = None
    call_duration_max_s: int | None = Field(default=None, ge=1, le=DURATION_S_MAX)

    def command(self) -> TenantConfigured:
        """The command that says it."""
        terms = RechargeSettings(enabled=self.recharge, trigger=self.recharge_trigger, amount=self.recharge_amount)
        return TenantConfigured(
            tenant=self.tenant,
            id=self.id,
            at=self.at,
            currency=self.currency,
            country=self.country,
            credits=self.credits,
            audio_conferencing_licenses=self.audio_conferencing_licenses,
            recharge=None if terms == RechargeSettings() else terms,
            payment_method="replaced" if self.payment_method_replaced else None,
            domains=self.domains,
            call_duration_max_s=self.call_duration_max_s,
        )


class NewTenant(Settings):
    """The first settings of a tenant: its currency is set now and never changes."""

    currency: Currency

    @model_validator(mode="after")
    def _recharge_is_whole(self) -> "NewTenant":
        if self.recharge and (self.recharge_trigger is None or self.recharge_amount is None):
            raise ValueError("expected --recharge-trigger and --recharge-amount with --recharge")
        return self


class Change(Settings):
    """A change of settings: of something."""

    @model_validator(mode="after")
    def _says_something(self) -> "Change":
        if not self.model_fields_set - {"tenant", "id", "at"}:
            raise ValueError("expected something to change; see `rater tenant configure --help`")
        return self


class Funding(Order):
    """A purchase of credit."""

    amount: Amount
    currency: Currency | None = None
    purchase_order: str | None = Field(default=None, max_length=256)
    agreement: str | None = Field(default=None, max_length=256)

    def command(self) -> FundsAdded:
        """The command that says it."""
        return FundsAdded(**self.model_dump())


class Licence(Order):
    """A licence assigned to a user, or removed."""

    user: Name
    sku: Name
    country: Country | None = None
    effective_from: AwareDatetime | None = None
    effective_to: AwareDatetime | None = None
    remove: bool = False

    @model_validator(mode="after")
    def _fits(self) -> "Licence":
        if sku(self.sku) is None:
            meant = did_you_mean(self.sku, SKUS)
            raise ValueError(f"sku: expected one of {', '.join(sorted(SKUS))}, got {self.sku!r}{meant}")
        if self.effective_from and self.effective_to and self.effective_to <= self.effective_from:
            raise ValueError("effective_to: expected an instant after effective_from")
        if self.remove and (self.country or self.effective_to):
            raise ValueError("expected neither country nor effective_to with --remove")
        return self

    def command(self) -> LicenseAssigned | LicenseRemoved:
        """The command that says it."""
        said = self.model_dump(exclude={"remove", "country", "effective_to"} if self.remove else {"remove"})
        return LicenseRemoved(**said) if self.remove else LicenseAssigned(**said)


class Erasing(Order):
    """A user is known under a pseudonym from now on."""

    user: Name
    also: tuple[Name, ...] = Field(default=(), max_length=100)
    key: str
    reason: str | None = Field(default=None, max_length=256)
    by: str | None = Field(default=None, max_length=256)

    def command(self) -> UserErased:
        """The command that says it."""
        return UserErased(**self.model_dump())


_Kind = TypeVar("_Kind", bound=Order)


def checked(kind: Callable[..., _Kind], **given: Any) -> _Kind:
    """The order; RaterError has a line for each wrong value.  What is None was not given."""
    try:
        return kind(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as wrong:
        lines = []
        for error in wrong.errors():
            option = ".".join(str(part) for part in error["loc"]).replace("_", "-")
            message = error["msg"].removeprefix("Value error, ")
            lines.append(f"{option}: {message[0].lower()}{message[1:]}" if option else message)
        raise RaterError("\n".join(lines)) from None
