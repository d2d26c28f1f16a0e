"""The screens of a tenant: each makes what one template shows, out of the store."""

from rater.serve.web.screens.asked import Asked, NoSuchThing, Screen, WrongQuestion
from rater.serve.web.screens.call import call
from rater.serve.web.screens.credits import credit
from rater.serve.web.screens.statement import statement
from rater.serve.web.screens.usage import usage

__all__ = ["SCREENS", "Asked", "NoSuchThing", "Screen", "WrongQuestion"]

#: By their names in a path, which are those of their templates; in the order of the navigation.
SCREENS = {
    "credits": Screen(credit),
    "usage": Screen(usage),
    "statement": Screen(statement),
    "call": Screen(call, listed=False),
}
