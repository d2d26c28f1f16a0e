"""Whom each brake stops (A50): so that a brake that is changed can let every one of them call again.

Keys of Spent, in a fixed number of lists for each brake: a stop writes a short list, however many users are
stopped.  A key is listed until its window is over; whether it is stopped still, its windows say.
"""

from collections.abc import Iterator
from datetime import datetime

from rater.core.identity import digest
from rater.core.lists import Stopped, StoppedList
from rater.core.state import Key, State

#: Lists of one brake.
LISTS = 64


def list_stopped(state: State, tenant: str, brake: str, key: str, until: datetime, now: datetime) -> None:
    """A brake stops a subject from now until its window is over; whose window is over leaves the list."""
    name, one = _list_of(tenant, brake, key), Stopped(key, until)
    before = _load(state, name)
    if one not in before:
        state.stopped[name] = StoppedList((*[other for other in before if other.until > now], one))


def listed_as_stopped(state: State, tenant: str, brake: str) -> Iterator[str]:
    """The keys of those whom a brake stops, and of those whom it stopped lately."""
    for number in range(LISTS):
        yield from dict.fromkeys(one.key for one in _load(state, (tenant, f"{brake}/{number}")))


def rename_stopped(state: State, tenant: str, brake: str, old: str, new: str) -> None:
    """A subject has another key from now on (the rule erasure)."""
    name = _list_of(tenant, brake, old)
    before = _load(state, name)
    moved = [one for one in before if one.key == old]
    if not moved:
        return
    state.stopped[name] = StoppedList(tuple([one for one in before if one.key != old]))
    name = _list_of(tenant, brake, new)
    state.stopped[name] = StoppedList((*_load(state, name), *(Stopped(new, one.until) for one in moved)))


def _list_of(tenant: str, brake: str, key: str) -> Key:
    return tenant, f"{brake}/{int(digest(key), 16) % LISTS}"


def _load(state: State, name: Key) -> tuple[Stopped, ...]:
    found = state.load("stopped", name)
    return found.stopped if isinstance(found, StoppedList) else ()
