"""Which users of a tenant may not call out (rule 53): a list of their keys, as long as outside input makes it.

The list is in pages, so that restricting a user writes one page, however many others there are.  A name stays in it
when its user may call out again, until nobody is restricted any more or until most names are out of date; whether
a user is restricted, its own record says.  Numbers and order of the pages follow from how many names are listed.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from rater.core.entities import Account, User
from rater.core.identity import name_key
from rater.core.lists import RestrictedPage, Restrictions
from rater.core.state import State

#: A page holds at most so many names, each of at most IDENTIFIER_LENGTH_MAX letters: 50 kB.
RESTRICTED_PAGE_MAX = 100
_NONE = RestrictedPage(())


def add_restriction(state: State, account: Account, user: User, since: datetime) -> None:
    """The user, who might call out, may not from now on."""
    key = name_key(user.user)
    state.users[(account.tenant, key)] = msgspec.structs.replace(user, restricted_since=since)
    users, listed = account.restrictions.users + 1, account.restrictions.listed
    account.restrictions = Restrictions(users, listed)
    if listed > 2 * users + RESTRICTED_PAGE_MAX:
        _list(state, account, restricted_users(state, account))
    else:
        _append(state, account, key)


def remove_restriction(state: State, account: Account, key: str) -> User | None:
    """The user of this key may call out again; None for one who might anyway."""
    user = state.user(account.tenant, key)
    if user is None or user.restricted_since is None:
        return None
    user = msgspec.structs.replace(user, restricted_since=None)
    state.users[(account.tenant, key)] = user
    account.restrictions = Restrictions(account.restrictions.users - 1, account.restrictions.listed)
    if not account.restrictions.users:
        _list(state, account, ())
    return user


def rename_restricted(state: State, account: Account, old: str, new: str) -> None:
    """A user has another key from now on, also where it was restricted once."""
    for number in range(_pages(account)):
        page = _page(state, account, number)
        if old in page.users:
            users = tuple([new if key == old else key for key in page.users])
            state.restrictions[(account.tenant, str(number))] = RestrictedPage(users)


def restricted_users(state: State, account: Account) -> list[str]:
    """The keys of the users who may not call out, in alphabetical order."""
    keys = {key for number in range(_pages(account)) for key in _page(state, account, number).users}
    users = [(key, state.user(account.tenant, key)) for key in sorted(keys)]
    return [key for key, user in users if user is not None and user.restricted_since is not None]


def list_restricted(state: State, account: Account, keys: Iterable[str]) -> None:
    """List the users who are restricted already, by their keys."""
    listed = list(keys)
    account.restrictions = Restrictions(len(listed), 0)
    _list(state, account, listed)


def _list(state: State, account: Account, keys: Iterable[str]) -> None:
    """Begin the list anew; pages that it does not fill any more are emptied."""
    for number in range(_pages(account)):
        state.restrictions[(account.tenant, str(number))] = _NONE
    account.restrictions = Restrictions(account.restrictions.users, 0)
    for key in keys:
        _append(state, account, key)


def _append(state: State, account: Account, key: str) -> None:
    users, listed = account.restrictions.users, account.restrictions.listed
    number = listed // RESTRICTED_PAGE_MAX
    page = _page(state, account, number)
    state.restrictions[(account.tenant, str(number))] = RestrictedPage((*page.users, key))
    account.restrictions = Restrictions(users, listed + 1)


def _pages(account: Account) -> int:
    return -(-account.restrictions.listed // RESTRICTED_PAGE_MAX)


def _page(state: State, account: Account, number: int) -> RestrictedPage:
    found = state.load("restrictions", (account.tenant, str(number)))
    return found if isinstance(found, RestrictedPage) else _NONE
