"""A user is erased: from then on the user is known under a pseudonym, and only under it.

The pseudonym is a keyed hash of the user's name, with a key that the tenant's account keeps: the same user always
gets the same one, so sums by user stay what they were, and who repeats an erasure changes nothing.  Old names are
kept as keyed hashes, by which later records and commands of the user are recognised.  What such a call says of
people is hidden when it is written down, after it was priced; money and minutes stay what they are.
The rule "erasure" in RULES.md.
"""

from collections.abc import Container, Iterable

import msgspec

from rater.core.brake_erasure import rename_brakes
from rater.core.entities import Alias, PoolMonth, User, twin
from rater.core.entitlements import own_families, unknown_user
from rater.core.identity import (
    erased_alias,
    is_erased,
    is_pseudonym,
    name_alias,
    name_key,
    object_alias,
    pseudonym_of,
)
from rater.core.inputs import CallRecord, UserErased
from rater.core.instants import month_index, parse_period, period_of
from rater.core.joins import rename_plan
from rater.core.numbers import hidden_number
from rater.core.outputs import RatedCall, Segment
from rater.core.reasons import EventKind
from rater.core.restrictions import rename_restricted
from rater.core.state import State
from rater.core.step import Step

#: No call of a plan that is counted per user is older: the first such plan came later.
_FIRST_MONTH = parse_period("2010-01")
_GONE_USER = User(user="", timeline=(), configured=False)
_GONE_ALIAS = Alias("")


def names_known(state: State, tenant: str, said: Iterable[str], aliases: Iterable[tuple[str, Alias]]) -> list[str]:
    """The names and object ids that mean a user: those that are given, the first of them the user, and those
    that are linked to it; `aliases` are all of the tenant's, with the names that they are kept under."""
    names = list(said)
    found = state.user_meant_by(tenant, names[0])
    if found is not None:
        key = name_key(found.user)
        linked = [kept.partition("/")[2] for kept, alias in aliases if alias.user == key and not is_erased(kept)]
        names += [found.user, *sorted(linked)]
    return [name for name in dict.fromkeys(names) if not is_pseudonym(name)]


def erase(step: Step, command: UserErased) -> None:
    """Give the user its pseudonym, in place of all of its names that the command says."""
    state, account = step.state, step.account
    tenant = account.tenant
    key = account.pseudonym_key = account.pseudonym_key or command.key
    before = state.user_meant_by(tenant, command.user)
    if before is None:
        after = unknown_user(pseudonym_of(key, command.user))
    elif is_pseudonym(before.user):
        after = before
    else:
        after = msgspec.structs.replace(before, user=pseudonym_of(key, before.user))
        _rename(step, before, after)
    state.users[(tenant, name_key(after.user))] = after
    names = [command.user, *command.also, *([before.user] if before is not None else [])]
    for name in names:
        if not is_pseudonym(name):
            _forget(state, tenant, key, name, name_key(after.user))
    rename_brakes(step, map(name_key, names), name_key(after.user))
    step.emit(EventKind.USER_ERASED, user=after.user, command_id=command.id, reason=command.reason, by=command.by)


def _rename(step: Step, before: User, after: User) -> None:
    """Move what is kept under the user's name: licences, the pools that are its own, restrictions."""
    state, account = step.state, step.account
    old, new = name_key(before.user), name_key(after.user)
    for family in own_families(before):
        renamed = f"{family.partition('/')[0]}/{after.user}"
        rename_plan(state, account.tenant, family, renamed)
        for month in range(_FIRST_MONTH, month_index(account.clock) + 2):
            _rename_pool(state, account.tenant, f"{family}/{period_of(month)}", f"{renamed}/{period_of(month)}")
    rename_restricted(state, account, old, new)
    state.users[(account.tenant, old)] = _GONE_USER
    state.gone.add(("user", (account.tenant, old)))


def _rename_pool(state: State, tenant: str, old: str, new: str) -> None:
    found = state.load("pool", (tenant, old))
    if isinstance(found, PoolMonth):
        state.pools[(tenant, new)] = twin(found)
        state.pools[(tenant, old)] = PoolMonth()
        state.gone.add(("pool", (tenant, old)))


def _forget(state: State, tenant: str, key: str, name: str, user: str) -> None:
    """Keep a name as its keyed hash only."""
    state.aliases[(tenant, erased_alias(key, name))] = Alias(user)
    for alias in (name_alias(name), object_alias(name)):
        if state.load("alias", (tenant, alias)) is not None:
            state.aliases[(tenant, alias)] = _GONE_ALIAS
            state.gone.add(("alias", (tenant, alias)))


def hidden_record(cdr: CallRecord, key: str) -> CallRecord:
    """The record of an erased user's call without what names a person; `user` is the pseudonym already."""
    return msgspec.structs.replace(
        cdr,
        calling=cdr.calling and hidden_party(cdr.calling, key),
        called=cdr.called and hidden_party(cdr.called, key),
        user_object_id=cdr.user_object_id and cdr.user,
        user_display_name=cdr.user_display_name and cdr.user,
    )


def hidden_party(text: str, key: str) -> str:
    """A number without its last digits, an address under a pseudonym; hiding twice is hiding once."""
    return hidden_number(text, lambda address: pseudonym_of(key, address))


def renamed_pool(name: str, names: Container[str], user: str) -> str:
    """The pool's name, or, of one that is a user's own, its name under the pseudonym; `names` are keys of names."""
    code, _, rest = name.partition("/")
    owner, _, month = rest.rpartition("/")
    return f"{code}/{user}/{month}" if owner and name_key(owner) in names else name


def erased_call(call: RatedCall, names: Container[str], user: str, key: str) -> RatedCall:
    """A rated call of a user who was erased since, in all else as it was; `names` are keys of the user's names."""
    return msgspec.structs.replace(
        call,
        user=user,
        calling=call.calling and hidden_party(call.calling, key),
        called=call.called and hidden_party(call.called, key),
        user_object_id=call.user_object_id and user,
        user_display_name=call.user_display_name and user,
        segments=tuple([_renamed(part, names, user) for part in call.segments]),
    )


def _renamed(part: Segment, names: Container[str], user: str) -> Segment:
    if part.pool is None:
        return part
    return msgspec.structs.replace(part, pool=renamed_pool(part.pool, names, user))
