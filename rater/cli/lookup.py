"""What people ask a store for by name: a tenant, one of its users, a month.  What is not there is refused."""

import re

from rater.core import Account, State, name_key
from rater.embedded.store import Reader
from rater.wire.errors import Exit, RaterError
from rater.wire.words import did_you_mean

_PERIOD = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_NAMED_MAX = 10


def check_period(text: str | None, option: str = "--period") -> None:
    """Raise RaterError for what is no month of a year."""
    if text is not None and not _PERIOD.fullmatch(text):
        raise RaterError(f"{option}: expected a month as YYYY-MM such as 2025-03, got {text!r}")


def known_account(reader: Reader, tenant: str) -> Account:
    """A tenant's present state; RaterError names the nearest and the others if there is none of this name."""
    account = reader.account(tenant)
    if account is None:
        known = reader.tenants()
        there_are = ", ".join(known[:_NAMED_MAX]) + (", ..." if len(known) > _NAMED_MAX else "") or "none"
        raise RaterError(
            f"{tenant}: no such tenant in {reader.path}{did_you_mean(tenant, known)}; there are: {there_are}",
            Exit.FAILED,
        )
    return account


def check_user(reader: Reader, tenant: str, user: str) -> None:
    """Raise RaterError for a user who is not configured and has no licence; the nearest is named."""
    known = reader.names("user", tenant)
    if name_key(user) not in known:
        raise RaterError(f"{user}: no such user of {tenant}, and no calls{did_you_mean(user, known)}", Exit.FAILED)


def remark_unknown(reader: Reader, tenant: str, user: str) -> str | None:
    """That no user of the tenant has this name, or is linked to it; the nearest is named."""
    if State(reader).user_meant_by(tenant, user) is not None:
        return None
    return f"{user}: {tenant} has no such user yet{did_you_mean(user, reader.names('user', tenant))}"
