"""What a screen is asked, and the two ways in which it cannot answer."""

from collections.abc import Callable
from typing import Any, NamedTuple, Self

from rater.core import Account
from rater.embedded.store import Reader
from rater.serve.web.sessions import Session


class NoSuchThing(Exception):
    """There is no such tenant, call or screen for this person."""


class WrongQuestion(Exception):
    """A filter that cannot be read; the message says what was expected."""


class Asked(NamedTuple):
    """Who asks what of which tenant; the store is read as it was at the last commit."""

    reader: Reader
    tenant: str
    account: Account
    session: Session
    query: dict[str, str]

    @classmethod
    def of(cls, reader: Reader, tenant: str, session: Session, query: dict[str, str]) -> Self:
        """The question; NoSuchThing: there is no such tenant."""
        account = reader.account(tenant)
        if account is None:
            raise NoSuchThing
        return cls(reader, tenant, account, session, query)


class Screen(NamedTuple):
    """A screen of a tenant: what it shows is made by `answer`; one that is `listed` is in the navigation."""

    answer: Callable[[Asked], dict[str, Any]]
    listed: bool = True
