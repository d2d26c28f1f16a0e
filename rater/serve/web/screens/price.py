"""Price: the form that asks what a call would cost."""

from typing import Any

from rater.core import AUTHORIZED_S_MAX, CallType, NumberType
from rater.serve.web.screens.asked import Asked

#: The minutes that are priced if none are given, as by `rater quote`; and the most.
MINUTES, MINUTES_MAX = 3, AUTHORIZED_S_MAX // 60
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
        "wrong": None,
        "answer": None,
    }
