"""Lists of a tenant's users that are too long for one record, as they are kept: in pages.

`joins` counts a plan's months, `restrictions` has who may not call out, `brake_stops` whom a brake stops.
"""

from datetime import datetime
from typing import NamedTuple

import msgspec


class Holders(msgspec.Struct):
    """How many distinct users hold a plan in each month (A10), without naming them.

    `standing[m]` is the change of the number who hold it when month m begins; `joins[m]` how many others first held
    it within month m, whose instants are in pages (see `joins`).  Under rules 1 the instants were here: `joined`.
    """

    standing: dict[int, int] = {}
    joins: dict[int, int] = {}
    joined: dict[int, list[datetime]] = {}


class JoinedPage(msgspec.Struct, frozen=True):
    """Instants of one month at which users first held a plan, sorted."""

    instants: tuple[datetime, ...]


class JoinedPageEntry(msgspec.Struct, frozen=True, array_like=True):
    """What the month keeps of a JoinedPage: its first instant, and how many there are."""

    number: int
    first: datetime
    count: int


class JoinsOfMonth(msgspec.Struct, frozen=True):
    """The pages of one plan and month, in order."""

    pages: tuple[JoinedPageEntry, ...] = ()


class Restricted(msgspec.Struct):
    """Under rules 1: the users of a tenant who may not call out, by name, since when (rule 53)."""

    users: dict[str, datetime] = {}


class RestrictedPage(msgspec.Struct, frozen=True, array_like=True):
    """Keys of users who became restricted, in order; whether one still is, its User says."""

    users: tuple[str, ...]


class Restrictions(msgspec.Struct, frozen=True, array_like=True):
    """How many users may not call out now, and how many names are in their list; see `restrictions`."""

    users: int = 0
    listed: int = 0


class Stopped(NamedTuple):
    """The key of whom a brake stopped, and when the window is over."""

    key: str
    until: datetime


class StoppedList(msgspec.Struct, frozen=True, array_like=True):
    """Some of those whom a brake stopped, in the order in which it did."""

    stopped: tuple[Stopped, ...]
