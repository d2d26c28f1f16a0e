"""What a screen is asked, and the two ways in which it cannot answer."""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self, TypeVar

from rater.core import Account, RatingSettings
from rater.embedded.lookup import CallPlace, Lookup
from rater.embedded.store import Reader
from rater.files.extras import installed
from rater.serve.reading.desks import Books
from rater.serve.web.sessions import Session

_Format = TypeVar("_Format", bound=str)
_PLACE = re.compile(r"(-?[0-9]{1,18})\.([0-9]{1,18})", re.ASCII)


class NoSuchThing(Exception):
    """There is no such tenant, call or screen for this person."""


class WrongQuestion(Exception):
    """A filter that cannot be read; the message says what was expected."""


class WrongField(WrongQuestion):
    """A field of a filter that cannot be read: which one, and what was expected."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: {expected}")
        self.field, self.expected = field, expected


class Asked(NamedTuple):
    """Who asks what of which tenant; the store is read as it was at the last commit.

    `settings` are the rules' settings of the deployment.
    """

    reader: Reader
    lookup: Lookup
    tenant: str
    account: Account
    session: Session
    query: dict[str, str]
    settings: RatingSettings = RatingSettings()

    @classmethod
    def of(cls, books: Books, tenant: str, session: Session, query: dict[str, str]) -> Self:
        """The question; NoSuchThing: there is no such tenant for this person."""
        account = books.reader.account(tenant) if session.grant.sees(tenant) else None
        if account is None:
            raise NoSuchThing
        return cls(books.reader, books.lookup, tenant, account, session, query)


class File(NamedTuple):
    """What a screen gives as a file."""

    name: str
    media_type: str
    content: bytes


def offered(formats: Sequence[_Format]) -> list[_Format]:
    """The formats for which this server has a library."""
    return [format for format in formats if format != "xlsx" or installed("excel")]


def check_offered(format: str) -> None:
    """WrongQuestion: this server has no library for the format."""
    if not offered([format]):
        raise WrongQuestion(f"{format}: expected csv, because this server lacks the extra rater[excel]")


def number_in(query: dict[str, str], name: str) -> int | None:
    """Where a page begins; None for the first.  WrongQuestion: it is no number."""
    text = query.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise WrongQuestion(f"{name}: expected the number that the link to a page has")
    return int(text)


def place_in(query: dict[str, str], name: str) -> CallPlace | None:
    """Where a page of calls begins; None for the first.  WrongQuestion: it is no place."""
    text = query.get(name)
    if not text:
        return None
    if (found := _PLACE.fullmatch(text)) is None:
        raise WrongQuestion(f"{name}: expected the place that the link to a page has")
    return CallPlace(*map(int, found.groups()))


class Screen(NamedTuple):
    """A screen of a tenant: what it shows is made by `answer`; one that is `listed` is in the navigation."""

    answer: Callable[[Asked], dict[str, Any]]
    listed: bool = True
