"""The users of `service-states` under the keys of the present rules (A40), once, when a partition is upgraded.

Release 0.3.0 keyed a user as it was spelled.  Such a key goes, so that who reads the compacted topic finds a user
under one key only, and a user who is restricted is written again under the present key.
Does no I/O.
"""

from collections import defaultdict
from datetime import datetime

from rater.core import Account, Memory, Migration, Restricted, ServiceState, Source, User, name_key
from rater.kafka.records import record_key
from rater.wire.codec import encode

TOPIC = "service-states"
#: Why a record stands there again; the reason of the restriction is in the record that it replaces.
REASON = "key_of_user_changed"


def rekey(before: Memory, migration: Migration, source: Source) -> list[tuple[bytes, bytes | None]]:
    """The records to write; the tenants' sequences in the migrated state go on accordingly."""
    former = {key for key in before.entities["user"] if name_key(key[1]) != key[1]}
    again: dict[str, dict[str, datetime]] = defaultdict(dict)
    for (tenant, _), restricted in before.entities["restricted"].items():
        assert isinstance(restricted, Restricted)
        spelled = [name for name in restricted.users if name_key(name) != name]
        former.update((tenant, name) for name in spelled)
        earliest: dict[str, datetime] = {}
        for name, since in restricted.users.items():
            key = name_key(name)
            earliest[key] = min(since, earliest.get(key, since))
        again[tenant] = {key: earliest[key] for key in map(name_key, spelled)}
    writes: list[tuple[bytes, bytes | None]] = [
        (f"{tenant}/{name}".encode(), None) for tenant, name in sorted(former)
    ]
    for tenant, users in sorted(again.items()):
        states = _restricted_again(migration, source, tenant, users)
        writes += [(record_key(state), encode(state)) for state in states]
    return writes


def _restricted_again(
    migration: Migration, source: Source, tenant: str, users: dict[str, datetime]
) -> list[ServiceState]:
    if not users:
        return []
    place = ("account", (tenant, ""))
    entities = migration.after.entities
    account = entities["account"][place[1]]
    assert isinstance(account, Account)
    account = account.own_copy()
    states = []
    for key, since in sorted(users.items()):
        user = entities["user"].get((tenant, key))
        account.sequences.service_states += 1
        sequence = account.sequences.service_states
        states.append(
            ServiceState(
                tenant=tenant,
                id=f"{tenant}:service:{sequence}",
                sequence=sequence,
                source=source,
                scope="user",
                state="restricted",
                since=since,
                reason=REASON,
                user=user.user if isinstance(user, User) else key,
            )
        )
    entities["account"][place[1]] = migration.changed[place] = account
    return states
