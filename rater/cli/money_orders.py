"""What people type about money by hand (A45, A46): checked, and turned into the commands of `rater.core.inputs`."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from rater.cli.tenant_commands import Currency, Name, Order
from rater.core import (
    FundsAdded,
    FundsAdjusted,
    FundsRefunded,
    MoneyError,
    PaymentReversed,
    TenantClosed,
    TenantReopened,
    parse_micros,
)

TEXT_LENGTH_MAX = 256


def _signed(text: str) -> str:
    """An amount with its sign: `+4.16`, `4.16`, `-4.16`."""
    amount = text.removeprefix("+")
    try:
        micros = parse_micros(amount)
    except MoneyError as wrong:
        raise ValueError(str(wrong)) from None
    if not micros:
        raise ValueError(f"expected an amount that is not zero, got {text}")
    return amount


def _positive(text: str) -> str:
    amount = _signed(text)
    if parse_micros(amount) < 0:
        raise ValueError(f"expected an amount above zero, got {text}")
    return amount


def _words(text: str) -> str:
    if not text.strip():
        raise ValueError("expected words, got none")
    return text


def _check_after(at: datetime, expires: datetime | None) -> None:
    if expires is not None and expires <= at:
        raise ValueError("expires: expected an instant after --at")


Words = Annotated[str, Field(max_length=TEXT_LENGTH_MAX), AfterValidator(_words)]
Positive = Annotated[str, AfterValidator(_positive)]


class Adjustment(Order):
    """Money that a person gives or takes off."""

    amount: Annotated[str, AfterValidator(_signed)]
    reason: Words
    by: Words
    currency: Currency | None = None
    expires: AwareDatetime | None = None
    usage_id: Name | None = None

    @model_validator(mode="after")
    def _expires(self) -> "Adjustment":
        if self.expires and self.amount.startswith("-"):
            raise ValueError("expected no --expires: money that is taken off does not expire")
        _check_after(self.at, self.expires)
        return self

    def command(self) -> FundsAdjusted:
        """The command that says it."""
        return FundsAdjusted(**self.model_dump())


class Refunding(Order):
    """Money of a purchase is paid out."""

    lot: Name
    amount: Positive
    reason: Words
    by: Words
    currency: Currency | None = None

    def command(self) -> FundsRefunded:
        """The command that says it."""
        return FundsRefunded(**self.model_dump())


class Reversal(Order):
    """The bank took a payment back."""

    lot: Name
    reason: Words
    by: Words

    def command(self) -> PaymentReversed:
        """The command that says it."""
        return PaymentReversed(**self.model_dump())


class Closing(Order):
    """A tenant is closed."""

    remainder: Literal["pay_out", "forfeit"]
    reason: Words
    by: Words

    def command(self) -> TenantClosed:
        """The command that says it."""
        return TenantClosed(**self.model_dump())


class Reopening(Order):
    """A closed tenant is open again."""

    reason: Words
    by: Words

    def command(self) -> TenantReopened:
        """The command that says it."""
        return TenantReopened(**self.model_dump())


class Promotion(Order):
    """Promotional credit."""

    amount: Positive
    expires: AwareDatetime
    currency: Currency | None = None
    agreement: Words | None = None

    @model_validator(mode="after")
    def _expires(self) -> "Promotion":
        _check_after(self.at, self.expires)
        return self

    def command(self) -> FundsAdded:
        """The command that says it."""
        return FundsAdded(source="promotion", **self.model_dump())
