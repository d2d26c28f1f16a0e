"""What brakes counted (A50), for those who show it: `rater show brakes`, the read API and the page."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from rater.core import (
    Account,
    Brake,
    Spent,
    SpentWindow,
    User,
    brakes_of,
    counting_scope,
    format_micros,
    known_countries,
    reached_in,
    window_of,
)
from rater.engine.books import Books


class BrakeWindow(NamedTuple):
    """What a brake counted of one subject in one of the windows that are kept; `subject` is empty of the tenant."""

    brake: Brake
    subject: str
    counted: SpentWindow

    @property
    def about(self) -> str:
        """The subject as a list shows it, with the country that was new to it."""
        new = [] if self.counted.country is None else [f"new: {self.counted.country}"]
        return ", ".join([*([self.subject] if self.subject else []), *new])

    @property
    def reached_at(self) -> datetime | None:
        """When the limit that the brake has now was reached."""
        return reached_in(self.brake, self.counted)

    @property
    def released(self) -> bool:
        """Whether a person ended what it stops, under the setting that the brake has now."""
        return self.counted.released and self.counted.number == self.brake.number


def is_money(brake: Brake) -> bool:
    """Whether its limit is an amount of money; of any other measure it is a number."""
    return brake.measure != "calls_at_once"


def in_its_measure(brake: Brake, counted: int) -> str:
    """A limit, or what was counted towards it: money in major units, or a number."""
    return format_micros(counted) if is_money(brake) else str(counted)


def brake_windows(books: Books, account: Account, subjects: Iterable[str] | None = None) -> Iterator[BrakeWindow]:
    """What the brakes that a tenant has now counted, by subject and then by time.

    `subjects` are keys of Spent, see `spent_key`; else all that were counted.
    """
    brakes = {brake.name: brake for brake in brakes_of(account)}
    names = books.names("spent", account.tenant) if subjects is None else subjects
    for name in names if brakes else ():
        spent = books.load("spent", (account.tenant, name))
        scope, _, key = name.partition("/")
        for window in spent.windows if isinstance(spent, Spent) else ():
            brake = brakes.get(window.brake)
            if brake is not None and counting_scope(brake) == scope:
                yield BrakeWindow(brake, shown_subject(books, account.tenant, brake.scope, key), window)


class KnownCountries(NamedTuple):
    """The countries that are not new to a subject any more, for a brake on new countries; see `BrakeWindow`."""

    brake: Brake
    subject: str
    countries: tuple[str, ...]


def brake_knowledge(
    books: Books, account: Account, subjects: Iterable[str] | None = None
) -> Iterator[KnownCountries]:
    """What the brakes on new countries learned, or people allowed, where it is any country; see `brake_windows`."""
    brakes = [brake for brake in brakes_of(account) if brake.measure == "new_countries"]
    names = list(books.names("spent", account.tenant) if subjects is None else subjects) if brakes else []
    for brake in brakes:
        start, _ = window_of(brake.window, account.clock)
        for name in names:
            scope, _, key = name.partition("/")
            spent = books.load("spent", (account.tenant, name))
            if scope != brake.scope or not isinstance(spent, Spent):
                continue
            if countries := known_countries(spent, brake.name, start):
                yield KnownCountries(brake, shown_subject(books, account.tenant, scope, key), countries)


def shown_subject(books: Books, tenant: str, scope: str, key: str) -> str:
    """A subject as people know it: a user by the name that it is shown by."""
    found = books.load("user", (tenant, key)) if scope == "user" else None
    return found.user if isinstance(found, User) else key
