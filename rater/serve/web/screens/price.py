"""Price: the form that asks what a call would cost."""

from typing import Any

from rater.core import AUTHORIZED_S_MAX, CallType, NumberType, User
from rater.serve.web.screens.asked import Asked

#: The minutes that are priced if none are given, as by `rater quote`; and the most.
MINUTES, MINUTES_MAX = 3, AUTHORIZED_S_MAX // 60
#: Users that are suggested, and the digits that a number has at least.
SUGGESTED_MAX, NUMBER_MIN = 200, 7
_FIELDS = ("called", "user", "minutes", "calling", "type", "number_type")
_TYPES = [one.value for one in CallType]


def price(asked: Asked) -> dict[str, Any]:
    """What `price.html` shows before the call is priced."""
    typed = {name: asked.query.get(name, "").strip() for name in _FIELDS}
    typed["minutes"] = typed["minutes"] or str(MINUTES)
    return {
        "account": asked.account,
        "typed": typed,
        "minutes_max": MINUTES_MAX,
        "types": _TYPES,
        "number_types": [one.value for one in NumberType],
        "users": _users(asked, typed["user"]),
        "wrong": None,
        "unknown": False,
        "answer": None,
    }


def _users(asked: Asked, part: str) -> list[str]:
    """Users of the tenant as suggestions: those whose names have what was typed, else the first."""
    names = asked.reader.names("user", asked.tenant)
    some = [name for name in names if part.casefold() in name] or names
    users = [asked.reader.load("user", (asked.tenant, name)) for name in some[:SUGGESTED_MAX]]
    return [user.user for user in users if isinstance(user, User) and user.configured]


def number_hint(typed: str) -> str | None:
    """How a number is written that was typed with 00, blanks or without +; None where nothing can be guessed."""
    digits = "".join(sign for sign in typed if sign in "0123456789")
    if typed.strip().startswith("+"):
        meant = digits
    elif digits.startswith("00"):
        meant = digits[2:]
    else:
        return None
    return f"+{meant}" if len(meant) >= NUMBER_MIN else None
