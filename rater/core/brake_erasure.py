"""Brakes forget an erased user (A50, the rule erasure): what was counted goes on under the pseudonym."""

from collections.abc import Iterable

import msgspec
from msgspec import UNSET

from rater.core.brake_stops import rename_stopped
from rater.core.entities import Spent, SpentWindow
from rater.core.spent_windows import in_order, place_of, spent_key
from rater.core.step import Step


def rename_brakes(step: Step, names: Iterable[str], new: str) -> None:
    """A user of these keys is known by another from now on, also to brakes (the rule erasure)."""
    state, account = step.state, step.account
    old = [name for name in dict.fromkeys(names) if name != new]
    for scope, name in [(scope, name) for scope in ("user", "calls_user") for name in old]:
        before = (account.tenant, spent_key(scope, name))
        found = state.load("spent", before)
        if isinstance(found, Spent) and (found.windows or found.known):
            after = (account.tenant, spent_key(scope, new))
            there = state.load("spent", after)
            state.spent[after] = _joined(there, found) if isinstance(there, Spent) else found
            state.spent[before] = Spent(stated=found.stated)  # its name is in the keys of service states
            state.gone.add(("spent", before))
            for brake in dict.fromkeys(stated.partition("/")[0] for stated in found.stated):
                rename_stopped(state, account.tenant, brake, before[1], after[1])
    if account.brakes is not UNSET:
        table = [
            msgspec.structs.replace(one, only=new) if one.scope == "user" and one.only in old else one
            for one in account.brakes.table
        ]
        account.brakes = msgspec.structs.replace(account.brakes, table=tuple(table))


def _joined(one: Spent, other: Spent) -> Spent:
    """The windows of two names that mean the same user: their sums are added."""
    windows = {place_of(window): window for window in one.windows}
    for window in other.windows:
        same = windows.get(place_of(window))
        windows[place_of(window)] = window if same is None else _both(same, window)
    return Spent(
        tuple(sorted(windows.values(), key=in_order)),
        tuple(sorted({*one.stated, *other.stated})),
        tuple(sorted({*one.known, *other.known})),
    )


def _both(one: SpentWindow, other: SpentWindow) -> SpentWindow:
    return msgspec.structs.replace(
        one if one.reached_at is not None else other,
        spent=one.spent + other.spent,
        over_calls=one.over_calls + other.over_calls,
        over_money=one.over_money + other.over_money,
        stopped=one.stopped or other.stopped,
    )
