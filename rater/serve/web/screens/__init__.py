"""The screens of a tenant: each makes what one template shows, out of the store."""

from typing import Any

from rater.serve.web.screens.asked import Asked, File, NoSuchThing, Screen, WrongQuestion
from rater.serve.web.screens.brakes import brakes
from rater.serve.web.screens.call import call
from rater.serve.web.screens.compare import compare
from rater.serve.web.screens.credits import credit
from rater.serve.web.screens.licences import licences
from rater.serve.web.screens.minutes import minutes
from rater.serve.web.screens.price import price
from rater.serve.web.screens.recharge import recharge
from rater.serve.web.screens.refused import refused
from rater.serve.web.screens.statement import statement
from rater.serve.web.screens.usage import usage

__all__ = ["SCREENS", "Asked", "File", "NoSuchThing", "Screen", "WrongQuestion", "frame"]

#: By their names in a path, which are those of their templates; in the order of the navigation.
SCREENS = {
    "credits": Screen(credit),
    "recharge": Screen(recharge),
    "brakes": Screen(brakes),
    "minutes": Screen(minutes),
    "usage": Screen(usage),
    "licences": Screen(licences),
    "refused": Screen(refused),
    "statement": Screen(statement),
    "price": Screen(price),
    "compare": Screen(compare),
    "call": Screen(call, listed=False),
}


def frame(tenant: str, screen: str, order: str | None = None) -> dict[str, Any]:
    """What every template of a tenant shows: the navigation, its place in it, and how the last order ended."""
    return {"tenant": tenant, "screen": screen, "screens": SCREENS, "order": order}
