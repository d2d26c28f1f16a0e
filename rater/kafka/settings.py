"""Where Kafka is and how the worker uses it.  What people write, so pydantic; every limit has a name."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from rater.core import DURATION_S_MAX, HOURS_MAX, DeckLimits, RatingSettings, read_emergency_numbers
from rater.ops.written_settings import WrittenSettings, read_settings

DEFAULT_BOOTSTRAP = "127.0.0.1:9092"
DEFAULT_PORT = 9092
PORT_MAX = 65_535
#: A name or an IPv4 address, an IPv6 address in brackets, or one alone; the first two with a port or without.
_ADDRESS = re.compile(
    r"(?:[^\s:\[\]]+|\[[0-9A-Fa-f:.%\w]+\])(?::([0-9]{1,5}))?|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:]*"
)
_DEFAULTS = RatingSettings()
_DECK_LIMITS = DeckLimits()
#: So that 2,000 records of a megabyte are no transaction of gigabytes.
BATCH_BYTES_MAX = 16_000_000


class KafkaSettings(WrittenSettings):
    """How to reach the cluster, and the names of one deployment in it."""

    bootstrap: str = DEFAULT_BOOTSTRAP
    prefix: str = Field(default="", pattern="^[a-zA-Z0-9._-]*$", description="stands before every topic's name")
    app: str = Field(default="rater", pattern="^[a-zA-Z0-9._-]+$", description="group and transactional ids")
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] = "SCRAM-SHA-512"
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    @field_validator("bootstrap")
    @classmethod
    def _addresses(cls, text: str) -> str:
        for address in text.split(","):
            found = _ADDRESS.fullmatch(address.strip())
            if found is None or not 0 < int(found[1] or DEFAULT_PORT) <= PORT_MAX:
                raise ValueError(
                    f"expected addresses such as 127.0.0.1:9092, with commas between, got {text[:80]!r}"
                )
        return text

    def topic(self, name: str) -> str:
        """The topic's name on this cluster."""
        return self.prefix + name

    @property
    def group(self) -> str:
        """The consumer group of the rating workers."""
        return f"{self.prefix}{self.app}"

    def transactional_id(self, partition: int) -> str:
        """One for each input partition: aiokafka speaks a protocol in which one for each worker is unsafe."""
        return f"{self.prefix}{self.app}.{partition}"


class WorkerSettings(WrittenSettings):
    """How a worker consumes records."""

    batch_records_max: int = Field(default=2_000, ge=1, le=100_000)
    backlog_records_max: int = Field(
        default=8_000,
        ge=1,
        le=100_000,
        description="of a batch that follows a full one: fewer, larger transactions",
    )
    batch_bytes_max: int = Field(
        default=BATCH_BYTES_MAX,
        ge=1,
        le=1_000_000_000,
        description="of input records in one commit; a larger record is alone",
    )
    batch_wait_ms: int = Field(default=20, ge=1, le=10_000, description="how long a batch waits for a first record")
    batch_interval_ms: int = Field(
        default=40,
        ge=0,
        le=10_000,
        description="between the beginnings of two batches of a partition; a record after a pause does not wait",
    )
    session_timeout_ms: int = Field(default=10_000, ge=1_000, le=1_800_000)
    transaction_timeout_ms: int = Field(default=30_000, ge=1_000, le=900_000)
    deck_wait_s: float = Field(
        default=30, ge=0, le=86_400, description="how long to wait for a deck that a command names"
    )
    release_timeout_s: float = Field(default=5, ge=0, le=600, description="to finish when a partition is revoked")
    index_folder: Path = Path("rater-index")
    instance: str | None = Field(default=None, description="static membership: the same name after a restart")


class RatingVariables(WrittenSettings):
    """What a deployment says of the rules; the same for workers, agents and `rater verify`."""

    emergency_numbers: str = Field(
        default="", description="A38: national numbers that the numbering plan lacks, such as IT:1530,CH:1414"
    )

    clock_ahead_max_h: int = Field(
        default=_DEFAULTS.clock_ahead_max_h,
        ge=0,
        le=HOURS_MAX,
        description="A43: hours that a time may lie after a record's arrival",
    )
    call_duration_max_s: int = Field(
        default=_DEFAULTS.call_duration_max_s,
        ge=1,
        le=DURATION_S_MAX,
        description="A44: seconds of the longest call that is rated without acceptance; a tenant may allow more",
    )

    @field_validator("emergency_numbers")
    @classmethod
    def _readable(cls, text: str) -> str:
        return ",".join(read_emergency_numbers(text))

    @property
    def settings(self) -> RatingSettings:
        """The settings that the rules are applied with."""
        return RatingSettings(
            emergency_numbers=read_emergency_numbers(self.emergency_numbers),
            clock_ahead_max_h=self.clock_ahead_max_h,
            call_duration_max_s=self.call_duration_max_s,
        )


class DeckVariables(WrittenSettings):
    """What a new price list may change without a person who accepts it; see DeckLimits."""

    deck_rows_gone_percent_max: int = Field(
        default=_DECK_LIMITS.rows_gone_percent_max, ge=0, le=100, description="rows that the new list has no more"
    )
    deck_countries_gone_max: int = Field(
        default=_DECK_LIMITS.countries_gone_max, ge=0, description="countries that had a price and have none"
    )
    deck_price_factor_max: int = Field(
        default=_DECK_LIMITS.price_factor_max, ge=1, le=1_000_000, description="how many times dearer or cheaper"
    )
    deck_prices_beyond_factor_max: int = Field(
        default=_DECK_LIMITS.prices_beyond_factor_max, ge=0, description="prices that may move by more than that"
    )
    deck_premium_gone_max: int = Field(
        default=_DECK_LIMITS.premium_gone_max, ge=0, description="premium rows that the new list has no more"
    )

    @property
    def limits(self) -> DeckLimits:
        """The limits that lists are compared with."""
        return DeckLimits(**{name.removeprefix("deck_"): value for name, value in self.model_dump().items()})


class WebVariables(WrittenSettings):
    """Where the pages of a worker are that Faust's own command line starts."""

    web_port: int = Field(default=6066, ge=1, le=PORT_MAX)


def rating_of_environment() -> RatingSettings:
    """The rules' settings of this deployment; RaterError names a variable with a wrong value."""
    return read_settings(RatingVariables).settings


def deck_limits_of_environment() -> DeckLimits:
    """What a new price list may change in this deployment; RaterError names a variable with a wrong value."""
    return read_settings(DeckVariables).limits
