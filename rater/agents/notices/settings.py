"""Who is notified, by which channel, how often, and what waits how long.  Secrets are named by where they are."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from rater.ops.secrets import SecretSource
from rater.ops.written_settings import WrittenSettings
from rater.wire.addresses import is_in_the_clear

#: Stands for every tenant that is not named.
EVERYBODY = "*"
_ADDRESS = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+")


def _address(text: str) -> str:
    if not text.isascii() or not _ADDRESS.fullmatch(text):
        raise ValueError(f"expected an address such as billing@contoso.example, got {text!r}")
    return text


Address = Annotated[str, AfterValidator(_address)]


class EmailSettings(BaseModel):
    """An SMTP server; a password is only sent after TLS."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: int = Field(default=587, ge=1, le=65535)
    #: `starttls` refuses a server that does not offer it; `tls` is TLS from the first byte (port 465).
    security: Literal["starttls", "tls", "none"] = "starttls"
    #: Certificates to trust besides the system's.
    ca_file: Path | None = None
    username: str | None = None
    password: SecretSource | None = None
    sender: Address
    #: Who is notified about a tenant; `*` about every tenant that is not named.
    recipients: dict[str, tuple[Address, ...]]
    #: Seconds to wait for the server at each step.
    timeout_s: float = Field(default=30, gt=0, le=600)
    #: Messages about one tenant in one hour; what is more becomes one digest at the end of the hour.
    messages_per_hour_max: int = Field(default=10, ge=1, le=1000)

    @model_validator(mode="after")
    def _password_needs_tls(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("expected username and password together")
        if self.password is not None and self.security == "none":
            raise ValueError("expected security starttls or tls where there is a password")
        return self


class WebhookSettings(BaseModel):
    """A receiver of signed webhooks: one message for each event."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern="^[a-z0-9-]{1,40}$")
    url: str = Field(pattern=r"^https?://[^\s/]+")
    secret: SecretSource
    #: Allow `http:` to other machines: for a private network that encrypts by itself.
    allow_http: bool = False
    #: Tenants whose events are sent there.
    tenants: frozenset[str] = frozenset({EVERYBODY})
    #: Seconds to wait for an answer.
    timeout_s: float = Field(default=10, gt=0, le=300)

    @model_validator(mode="after")
    def _not_in_the_clear(self) -> Self:
        if is_in_the_clear(self.url) and not self.allow_http:
            raise ValueError(f"expected https, got {self.url}; allow_http permits it on a private network")
        return self


class NotifySettings(BaseModel):
    """Everything about notifications; without channels nobody is notified."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: The SQLite file of notices to send and notices sent.
    outbox: Path
    email: EmailSettings | None = None
    webhooks: tuple[WebhookSettings, ...] = Field(default=(), max_length=20)
    #: A folder whose files replace templates of the same name.
    templates: Path | None = None
    #: Seconds until a message that was refused, or a server that was not reached, is tried again: the first wait,
    #: doubled each time up to the second.
    retry_wait_initial_s: int = Field(default=30, ge=1, le=3600)
    retry_wait_max_s: int = Field(default=900, ge=1, le=86_400)
    #: A message that is still refused after so many hours is given up and kept; a server that is down never is.
    refused_hours_max: int = Field(default=72, ge=1, le=24 * 90)
    #: How long the record of a sent event is kept, in days.
    ledger_days: int = Field(default=90, ge=1, le=3660)

    @field_validator("webhooks")
    @classmethod
    def _names_differ(cls, webhooks: tuple[WebhookSettings, ...]) -> tuple[WebhookSettings, ...]:
        names = [webhook.name for webhook in webhooks]
        if len(set(names)) != len(names):
            raise ValueError(f"expected names that differ, got {', '.join(names)}")
        return webhooks


class NotifyFile(NotifySettings, WrittenSettings):
    """The same as a file of its own, for `rater run --notify`."""

    model_config = WrittenSettings.model_config
