"""The scenario file: exactly the format of the conformance README, checked with the line in every error.

Refuses to know how a scenario is played.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from rater.core.money import parse_micros
from rater.core.reasons import EventKind, Outcome, Pocket
from rater.core.settings import RatingSettings
from rater.errors import RaterError
from rater.scenarios.yaml_lines import Lines, line_of, load

#: Events that a scenario may expect; others are told too, but are not part of the format.
EXPECTED_EVENTS = tuple(
    kind.value for kind in list(EventKind)[: list(EventKind).index(EventKind.TENANT_CONFIGURED)]
)


def _amount(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        raise ValueError(f'expected money as a quoted decimal string such as "74.948", got {value!r}')
    return value


def _checked_amount(value: str) -> str:
    parse_micros(value)
    return value


def _identifier(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _known_event(value: str) -> str:
    if value not in EXPECTED_EVENTS:
        raise ValueError(f"expected one of {', '.join(EXPECTED_EVENTS)}, got {value!r}")
    return value


Money = Annotated[str, BeforeValidator(_amount), AfterValidator(_checked_amount)]
Name = Annotated[str, BeforeValidator(_identifier), Field(min_length=1)]
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
    currency: str = "USD"
    country: str | None = None
    credits: Literal["enabled", "not_set_up"] = "enabled"
    audio_conferencing_licenses: int = Field(default=0, ge=0)
    recharge: Recharge = Recharge(enabled=False)


class DatedLicense(_Part):
    """A licence held for a time: `{sku, from, to}`."""

    sku: Name
    since: Instant | None = Field(default=None, alias="from")
    until: Instant | None = Field(default=None, alias="to")


class User(_Part):
    """A user with country and licences."""

    id: Name
    country: str | None = None
    licenses: tuple[Name | DatedLicense, ...] = ()
    outbound_policy: str | None = None


class Fund(_Part):
    """A purchase of credit."""

    id: Name
    amount: Annotated[str, BeforeValidator(_amount)]
    at: Instant
    source: Literal["manual", "auto_recharge"] = "manual"
    currency: str | None = None


class Cdr(_Part):
    """A call-detail record as it arrives; values go to the engine as they are, so that it may refuse them."""

    id: Name
    type: Any
    start: Any
    seconds: Any
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
    country: str | None = None


class Configure(_Part):
    """The tenant's settings change."""

    at: Instant
    credits: Literal["enabled", "not_set_up"] | None = None
    recharge: Recharge | None = None
    audio_conferencing_licenses: int | None = Field(default=None, ge=0)
    payment_method: Literal["replaced"] | None = None
    country: str | None = None


class Payment(_Part):
    """The gateway answers the recharge in flight."""

    result: Literal["succeeded", "failed"]
    at: Instant
    reason: str = "declined"


class Tick(_Part):
    """Time passes."""

    at: Instant


class ExpectedSegment(_Part):
    """One segment of the rated call."""

    pocket: Pocket
    minutes: int | None = None
    charge: Money | None = None


class ExpectedLot(_Part):
    """A lot with money left."""

    id: Name
    remaining: Money


class ExpectedPool(_Part):
    """A pool's use."""

    used: int | None = None
    total: int | None = None


class ExpectedDebit(_Part):
    """A debit caused by the step."""

    amount: Money
    kind: Literal["call", "reversal", "expiry"]


class Expect(_Part):
    """What must come out; what is not named is not looked at."""

    outcome: Outcome | None = None
    reason: str | None = None
    minutes: int | None = None
    segments: tuple[ExpectedSegment, ...] | None = None
    charge: Money | None = None
    unfunded_charge: Money | None = None
    capability: str | None = None
    period: str | None = None
    late: bool | None = None
    balance: Money | None = None
    lots: tuple[ExpectedLot, ...] | None = None
    pools: dict[str, ExpectedPool] | None = None
    events: tuple[EventName, ...] | None = None
    debits: tuple[ExpectedDebit, ...] | None = None
    call_credit_services: Literal["active", "suspended"] | None = None


ACTIONS = ("fund", "cdr", "license", "configure", "payment", "tick")


class Step(_Part):
    """Exactly one action, and optionally what it must cause."""

    fund: Fund | None = None
    cdr: Cdr | None = None
    license: License | None = None
    configure: Configure | None = None
    payment: Payment | None = None
    tick: Tick | None = None
    expect: Expect = Expect()

    @property
    def action(self) -> Fund | Cdr | License | Configure | Payment | Tick:
        """The one action of the step."""
        action: Fund | Cdr | License | Configure | Payment | Tick | None = next(
            found for name in ACTIONS if (found := getattr(self, name)) is not None
        )
        assert action is not None
        return action


class Scenario(_Part):
    """One file."""

    scenario: str
    rate_deck: str
    settings: dict[str, Any] = {}
    tenant: Tenant
    users: tuple[User, ...] = ()
    steps: tuple[Step, ...]


class ScenarioFile(msgspec.Struct, frozen=True):
    """A scenario that was read, with the lines of its parts for messages."""

    path: Path
    scenario: Scenario
    settings: RatingSettings
    lines: Lines

    def step_line(self, index: int) -> int:
        """The line at which a step starts."""
        return line_of(self.lines, ("steps", index))


def read_scenario(path: Path) -> ScenarioFile:
    """Read and check one file; RaterError names file, line and field."""
    try:
        document, lines = load(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as wrong:
        raise RaterError(f"{path}: cannot be read: {wrong}") from wrong
    if not isinstance(document, dict):
        raise RaterError(f"{path}:1: expected a mapping with scenario, tenant and steps")
    _check_steps(path, document, lines)
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as wrong:
        raise RaterError(_say(path, lines, wrong)) from wrong
    return ScenarioFile(path, scenario, _settings(path, scenario, lines), lines)


def _check_steps(path: Path, document: dict[str, Any], lines: Lines) -> None:
    steps = document.get("steps")
    for index, step in enumerate(steps if isinstance(steps, list) else []):
        actions = [name for name in ACTIONS if isinstance(step, dict) and step.get(name) is not None]
        line = line_of(lines, ("steps", index))
        if len(actions) != 1:
            got = ", ".join(actions) or "none"
            raise RaterError(
                f"{path}:{line}: steps[{index}]: expected exactly one of {', '.join(ACTIONS)}, got {got}"
            )
        license = step.get("license")
        if isinstance(license, dict) and ("assign" in license) == ("remove" in license):
            raise RaterError(f"{path}:{line}: steps[{index}].license: expected either assign or remove")


def _settings(path: Path, scenario: Scenario, lines: Lines) -> RatingSettings:
    try:
        return msgspec.convert(scenario.settings, RatingSettings)
    except msgspec.ValidationError as wrong:
        line = line_of(lines, ("settings",))
        known = ", ".join(RatingSettings.__struct_fields__)
        raise RaterError(f"{path}:{line}: settings: {wrong}; the settings are {known}") from wrong


def _say(path: Path, lines: Lines, wrong: ValidationError) -> str:
    """The first error as one line: file, line, field, what was expected."""
    errors = wrong.errors()
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    where = tuple(part for part in first["loc"] if (part in ("from", "to")) or not str(part).endswith("License"))
    field = ".".join(str(part) for part in where)
    if first["type"] == "extra_forbidden":
        return f"{path}:{line_of(lines, where)}: {field}: not a field of the scenario format"
    return f"{path}:{line_of(lines, where)}: {field}: {first['msg'].removeprefix('Value error, ')}"


def as_text(instant: datetime) -> str:
    """An instant as records carry it."""
    return instant.isoformat().replace("+00:00", "Z")
