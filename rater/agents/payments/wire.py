"""The bodies of the payment gateway's interface, and the one way to read them.

    POST URL/v1/payments, Idempotency-Key: the recharge id, body `PaymentOrder`
    200, 201: `Payment` succeeded    402: `Payment` failed    202: `Payment` pending, the result comes by webhook
    409: this key is being worked on    422: this key came with another order    429, 5xx: try again

    webhook (Standard Webhooks): `PaymentNotice`

Unknown fields are allowed; a field that occurs twice is not.
"""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from rater.core import IDENTIFIER_LENGTH_MAX, parse_micros
from rater.wire.repeated_keys import repeated_key

#: No body of this interface is larger; what is, comes from something else.
BODY_BYTES_MAX = 64 * 1024
REASON_LENGTH_MAX = 256
PAYMENTS_PATH = "/v1/payments"
KEY_HEADER = "Idempotency-Key"


def _above_zero(amount: str) -> str:
    if parse_micros(amount) <= 0:
        raise ValueError(f"expected an amount above zero, got {amount!r}")
    return amount


Identifier = Annotated[str, Field(min_length=1, max_length=IDENTIFIER_LENGTH_MAX)]
Amount = Annotated[str, Field(max_length=40), AfterValidator(_above_zero)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


class PaymentOrder(BaseModel):
    """What is to be collected: the same bytes however often it is asked."""

    model_config = ConfigDict(frozen=True, strict=True)

    recharge_id: Identifier
    tenant: Identifier
    amount: Amount
    currency: Currency
    requested_at: AwareDatetime


class Payment(BaseModel):
    """The outcome of an order.  `settled_at`: when the money was taken or declined, by the gateway's clock."""

    model_config = ConfigDict(frozen=True, strict=True)

    recharge_id: Identifier
    tenant: Identifier
    status: Literal["pending", "succeeded", "failed"]
    amount: Amount
    currency: Currency
    reason: Annotated[str, Field(max_length=REASON_LENGTH_MAX)] | None = None
    settled_at: AwareDatetime | None = None


class PaymentNotice(BaseModel):
    """The body of a webhook: its type says again what the payment's status says."""

    model_config = ConfigDict(frozen=True, strict=True)

    type: Literal["payment.succeeded", "payment.failed"]
    data: Payment

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.type != f"payment.{self.data.status}":
            raise ValueError(f"expected a payment that {self.type.partition('.')[2]}, got {self.data.status}")
        return self


class BodyError(ValueError):
    """Bytes that are not the body that was expected; the message says where and why."""


_Body = TypeVar("_Body", bound=BaseModel)


def read_body(model: type[_Body], raw: bytes) -> _Body:
    """The body as a model; raises BodyError, never anything else."""
    try:
        body = model.model_validate_json(raw)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise BodyError(f"{where}: {first['msg']}") from wrong
    except (ValueError, RecursionError) as wrong:
        raise BodyError(f"body: {wrong}") from wrong
    if twice := repeated_key(raw):
        raise BodyError(f"{twice}: expected every field once")
    return body
