"""Into which partition a record goes when a tenant's partition becomes another; does no I/O."""

from collections.abc import Iterable, Mapping

import msgspec

from rater.core import NO_TENANT, RESERVED_TENANTS, Account
from rater.kafka.changelog import entity_of, pack, state_key, tenant_of
from rater.kafka.port import Consumed
from rater.kafka.publisher import partition_of
from rater.kafka.snapshot import HISTORY
from rater.wire.codec import claimed_tenant
from rater.wire.dead_letters import DlqAudit, LetterAction

#: Copied record by record, in order, with their times: what happened, prices, what was done about dead letters.
COPIED = (*HISTORY, "rate-decks", "dlq-audit", "admin-audit", "call-events")
#: Decisions about dead letters.  The others are about offsets of the former topics and mean nothing in new ones.
_ABOUT_LETTERS = frozenset({LetterAction.REPLAYED, LetterAction.DROPPED})
#: Of records that are for nobody, this kind of memory goes to every partition: which commands everybody had.
_COMMANDS_SEEN = state_key("seen", (NO_TENANT, "command/"))
_NOBODY = state_key("account", (NO_TENANT, ""))

Pairs = dict[bytes, bytes]
_audit = msgspec.json.Decoder(DlqAudit).decode


class _Owned(msgspec.Struct, frozen=True):
    """What every output says: whose it is."""

    tenant: str


_owned = msgspec.json.Decoder(_Owned).decode


def home_of(tenant: str, number: int, partitions: int) -> int:
    """The new partition of a tenant's record; what is for nobody stays in partition `number`."""
    return number % partitions if tenant in RESERVED_TENANTS else partition_of(tenant, partitions)


def places_of_copy(record: Consumed, partitions: int) -> tuple[int, ...]:
    """Where a record of a copied or compacted topic goes; nowhere if it must not be copied."""
    value = record.value or b""
    match record.topic:
        case "rate-decks":
            return (partition_of((record.key or b"").decode(), partitions),)
        case "dlq-audit":
            audit = _audit(value)
            about_a_letter = audit.action in _ABOUT_LETTERS
            return (home_of(audit.tenant, record.partition, partitions),) if about_a_letter else ()
        case "call-events":
            return (home_of((record.key or b"").decode(errors="replace"), record.partition, partitions),)
        case _:
            return (home_of(_owned(value).tenant, record.partition, partitions),)


def places_of_input(record: Consumed, partitions: int) -> Iterable[int]:
    """Where an unrated input goes: where its key says, else its bytes; what is for everybody, everywhere."""
    owner = (record.key or b"").decode(errors="replace") or claimed_tenant(record.value or b"")
    if record.topic == "commands" and owner in RESERVED_TENANTS:
        return range(partitions)
    return (home_of(owner or NO_TENANT, record.partition, partitions),)


def split_state(state: Pairs, partitions: int) -> tuple[dict[int, Pairs], Pairs]:
    """A former partition's entities by new partition, and those that belong to nobody."""
    homes: dict[int, Pairs] = {}
    nobody: Pairs = {}
    for key, value in state.items():
        tenant = tenant_of(key)
        if tenant in RESERVED_TENANTS:
            nobody[key] = value
        else:
            homes.setdefault(partition_of(tenant, partitions), {})[key] = value
    return homes, nobody


def nobodys_state(nobody: Mapping[int, Pairs], partitions: int) -> dict[int, Pairs]:
    """For each new partition what belongs to no tenant: its own, with the decks and commands that any had.

    A partition that is new has no records of nobody, so their sequences begin anew there, and no dead letter counts
    as written.
    """
    accounts = {number: _account(pairs[_NOBODY]) for number, pairs in nobody.items() if _NOBODY in pairs}
    if not accounts:
        return {number: dict(nobody.get(number, {})) for number in range(partitions)}
    fullest = max(accounts.values(), key=lambda account: len(account.decks))
    seen: Pairs = {}
    for pairs in nobody.values():
        seen |= {key: value for key, value in pairs.items() if key.startswith(_COMMANDS_SEEN)}
    found = {}
    for number in range(partitions):
        account = accounts.get(number, fullest).own_copy()
        account.decks = fullest.decks
        if number not in accounts:
            account.sequences = type(account.sequences)()
        found[number] = {**nobody.get(number, {}), **seen, _NOBODY: pack(account)}
    return found


def _account(value: bytes) -> Account:
    account = entity_of(_NOBODY, value)[2]
    assert isinstance(account, Account)
    return account
