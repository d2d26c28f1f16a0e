"""What is put in the place of what was: another price list, other commands, other settings, for one month.

It holds from the first input of a tenant that is of the month or later.  A price list is in force for the calls of
the month from its first instant on, whatever was activated within it, and what rated calls of the month again with
another list is left out.  A command replaces the one of the same id in the month; with another id it is added.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from rater.core import (
    SKUS,
    AnyCommand,
    CallRerated,
    DeckActivated,
    RateDeck,
    RatingSettings,
    TenantConfigured,
    as_utc,
    month_start,
    parse_period,
    sku,
)
from rater.wire.errors import RaterError
from rater.wire.words import did_you_mean, in_words

#: They decide which records are accepted, not what a call costs: other records than those that were would be rated.
ACCEPTING = frozenset({"clock_ahead_max_h", "call_duration_max_s", "emergency_numbers"})
_SETTINGS = tuple(name for name in RatingSettings.__struct_fields__ if name not in ACCEPTING)


class Exchange(msgspec.Struct, frozen=True):
    """Users of a tenant who hold one licence instead of another, by their codes in the catalogue.

    `named`: a person named the users, so that each is expected to hold the old one.
    """

    old: str
    new: str
    users: tuple[str, ...] = ()
    named: bool = False


class Substitutes(msgspec.Struct, frozen=True):
    """A month (`YYYY-MM`), of one tenant or of all (None), and what is put in the place of what was."""

    period: str
    tenant: str | None = None
    deck: RateDeck | None = None
    commands: tuple[AnyCommand, ...] = ()
    settings: Mapping[str, Any] = {}
    exchange: Exchange | None = None

    @property
    def since(self) -> datetime:
        """The first instant of the month."""
        return month_start(parse_period(self.period))

    @property
    def until(self) -> datetime:
        """The first instant after it."""
        return month_start(parse_period(self.period) + 1)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is substituted: nothing may be different then."""
        return self.deck is None and not self.commands and not self.settings and self.exchange is None

    def check(self) -> None:
        """Raise RaterError where a command is not of the month or decides which records are accepted."""
        if self.exchange is not None and self.tenant is None:
            raise RaterError("--instead: expected --tenant, whose users they are")
        for command in self.commands:
            where = f"--commands: {command.tenant}, id {command.id}"
            if self.tenant not in (None, command.tenant):
                raise RaterError(f"{where}: expected commands of {self.tenant}, because of --tenant")
            if not self.since <= as_utc(command.at) < self.until:
                raise RaterError(f"{where}: expected a time within {self.period}, got {command.at.isoformat()}")
            if isinstance(command, TenantConfigured) and (command.domains or command.call_duration_max_s):
                raise RaterError(
                    f"{where}: domains and call_duration_max_s decide which records are accepted, not what a call"
                    " costs; leave them out"
                )
            if isinstance(command, CallRerated | DeckActivated):
                raise RaterError(f"{where}: expected no {command.__struct_config__.tag}; give the list with --deck")

    def for_users(self, known: Callable[[str], list[str]]) -> "Substitutes":
        """With the users of the exchange: everybody of the tenant whom `known` knows, where nobody was named."""
        exchange = self.exchange
        if exchange is None or exchange.named or self.tenant is None:
            return self
        users = tuple(known(self.tenant))
        return msgspec.structs.replace(self, exchange=msgspec.structs.replace(exchange, users=users))

    def check_in_force(self, tenants: int, currencies: Iterable[str]) -> None:
        """RaterError where the price list was in force for no tenant; `currencies` are those of the tenants."""
        if self.deck is None or tenants:
            return
        expected = " or ".join(sorted(set(currencies))) or "their currency"
        raise RaterError(
            f"--deck: expected a price list in {expected} for {self.tenant or 'the tenants of the month'}, got"
            f" {self.deck.currency}: it is in force for no call; --currency says which one a CSV file is in"
        )

    def for_tenant(self, tenant: str) -> list[AnyCommand]:
        """The commands of a tenant by their time."""
        return sorted([one for one in self.commands if one.tenant == tenant], key=lambda one: as_utc(one.at))

    def covers(self, at: datetime) -> bool:
        """Whether an instant is of the month."""
        return self.since <= at < self.until


def read_exchange(text: str) -> Exchange:
    """Licences as a person writes them, `MCOPSTN1=MCOPSTN2`; RaterError says what was expected."""
    old, found, new = text.partition("=")
    if not found:
        raise RaterError(f"--instead: expected OLD=NEW such as MCOPSTN1=MCOPSTN2, got {text!r}")
    exchange = Exchange(_known_code(old), _known_code(new))
    if exchange.old == exchange.new:
        raise RaterError(f"--instead: expected two licences, got {text!r}")
    return exchange


def _known_code(code: str) -> str:
    known = sku(code)
    if known is None:
        raise RaterError(f"--instead: expected a licence of the catalogue, got {code!r}{did_you_mean(code, SKUS)}")
    return known.code


def read_setting(text: str) -> tuple[str, Any]:
    """A setting as a person writes it, `straddle=whole_to_credits`; RaterError says what was expected."""
    name, found, value = text.partition("=")
    if not found or name not in _SETTINGS:
        why = ": it decides which records are accepted, not what a call costs" if name in ACCEPTING else ""
        raise RaterError(f"--setting: expected NAME=VALUE with one of {', '.join(_SETTINGS)}, got {text!r}{why}")
    given: Any = [part for part in value.split(",") if part] if name == "recharge_retry_hours" else value
    try:
        settings = msgspec.convert({name: given}, RatingSettings, strict=False)
    except msgspec.ValidationError as wrong:
        _, said = in_words(wrong, RatingSettings, {name: given})
        raise RaterError(f"--setting {name}: {said}") from wrong
    return name, getattr(settings, name)
