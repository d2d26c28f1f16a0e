"""What a month was, what it would have been, and what a person should know of the substitutes."""

from typing import NamedTuple

import msgspec

from rater.core import AnyCommand
from rater.engine.difference import History
from rater.engine.substitutes import Substitutes


class Refused(NamedTuple):
    """A substitute that was not applied, and why."""

    command: AnyCommand
    why: str


class Remark(NamedTuple):
    """A substitute that was applied, and what a person should know of it."""

    command: AnyCommand
    text: str


class Comparison(msgspec.Struct, frozen=True):
    """What a month was, and what it would have been."""

    was: History
    would_be: History
    #: Inputs that were replayed.
    records: int
    assumed_paid: int
    assumed_declined: int
    refused: list[Refused]
    remarks: list[Remark]
    #: Rated calls of the month that cannot be replayed, because their inputs are not kept; they are in neither.
    left_out: int
    why_left_out: str | None


def nothing_of(substitutes: Substitutes, left_out: int, why: str | None) -> str:
    """Why nothing is compared: the month has no calls, or none of its inputs are kept."""
    whose = f" of {substitutes.tenant}" if substitutes.tenant else ""
    if left_out:
        return f"the inputs of {substitutes.period} are not kept{whose}: {why}"
    return f"expected a month with calls{whose}, got none in {substitutes.period}"
