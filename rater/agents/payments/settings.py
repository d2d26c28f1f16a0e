"""How the payment gateway is reached and how long it is waited for.  Secrets are named by where they are."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rater.ops.secrets import SecretSource
from rater.wire.addresses import http_address, is_in_the_clear


class GatewaySettings(BaseModel):
    """An HTTP payment gateway; every limit has a safe default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: Where `/v1/payments` lies, such as https://pay.example.com.
    url: str
    #: Sent as `Authorization: Bearer ...` where it is set.
    token: SecretSource | None = None
    #: Keys of the gateway's webhooks; two while one replaces the other.
    webhook_secrets: tuple[SecretSource, ...] = Field(default=(), max_length=4)
    #: Allow `http:` to other machines: for a private network that encrypts by itself.
    allow_http: bool = False
    #: Seconds to reach the gateway.
    connect_timeout_s: float = Field(default=5, gt=0, le=60)
    #: Seconds to wait for one answer, connecting included.
    answer_timeout_s: float = Field(default=30, gt=0, le=300)
    #: How often one request is sent before its outcome counts as unknown.
    attempts_max: int = Field(default=4, ge=1, le=20)
    #: Seconds between attempts: the first wait, doubled each time up to the second.
    retry_wait_initial_s: float = Field(default=0.2, ge=0, le=60)
    retry_wait_max_s: float = Field(default=5, ge=0, le=600)
    #: Seconds after which no further attempt is made.
    retry_within_s: float = Field(default=90, gt=0, le=3600)
    #: Failures in a row after which the gateway is left alone,
    circuit_failures_max: int = Field(default=5, ge=1, le=1000)
    #: and for how many seconds.
    circuit_open_s: float = Field(default=30, ge=0, le=3600)

    @field_validator("url")
    @classmethod
    def _absolute(cls, url: str) -> str:
        return http_address(url, "https://pay.example.com", "token")

    @model_validator(mode="after")
    def _not_in_the_clear(self) -> Self:
        if is_in_the_clear(self.url) and not self.allow_http:
            raise ValueError(f"expected https, got {self.url}; allow_http permits it on a private network")
        return self
