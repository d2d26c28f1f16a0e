"""A user is erased from a store: its name, addresses and numbers, in what was rated and in what was kept of inputs.

    1. verify the store: what is rewritten cannot be computed again from its inputs afterwards
    2. apply the command, by which the rules know the user under its pseudonym only
    3. rewrite or delete every row that names the user, and begin a checkpoint, in one transaction
    4. give the file's free pages back, overwritten: until then they hold what was deleted
    5. delete the lookup, which holds names, too; it is made anew

Whoever is killed in between runs it again: nothing is done twice.  Money and minutes stay as they are.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator

import msgspec

from rater.core import (
    AccountEvent,
    Alias,
    CallCommand,
    Debit,
    Outcome,
    RatedCall,
    RejectedCdr,
    ServiceState,
    State,
    UserErased,
    erased_call,
    hidden_party,
    is_pseudonym,
    name_key,
    names_known,
    pseudonym_of,
    renamed_pool,
)
from rater.embedded.call_tables import forget_user
from rater.embedded.dead_letters import letters_of
from rater.embedded.kept_inputs import begin_base
from rater.embedded.lookup.file import forget_lookup
from rater.embedded.openings import note_opening
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Reader, Store
from rater.embedded.verify import verify_store
from rater.wire.codec import encode
from rater.wire.dead_letters import SETTLED, Letter, raw_bytes
from rater.wire.errors import Exit, RaterError

_calls = msgspec.json.Decoder(RatedCall).decode
_debits = msgspec.json.Decoder(Debit).decode
_events = msgspec.json.Decoder(AccountEvent).decode
_states = msgspec.json.Decoder(ServiceState).decode
_letters = msgspec.json.Decoder(RejectedCdr).decode
_orders = msgspec.json.Decoder(CallCommand).decode
_aliases = msgspec.msgpack.Decoder(Alias).decode
ERASED_MESSAGE = "erased with its user"


class Row(msgspec.Struct, frozen=True):
    """A row of a topic that names the user, as it stands from now on; `key` where it is looked up by another name.

    `call` is the usage id of a rated call.
    """

    topic: str
    offset: int
    value: bytes
    key: str | None = None
    call: str | None = None


class Person(msgspec.Struct, frozen=True):
    """Who is erased: every name that the store knows, as they are compared, and the name from now on."""

    tenant: str
    names: frozenset[str]
    pseudonym: str
    key: str

    def is_meant(self, name: str | None) -> bool:
        """Whether a name is one of the person's."""
        return name is not None and name_key(name) in self.names

    def party(self, text: str | None) -> str | None:
        """A number or address: the person's own address under the pseudonym, any other as it is."""
        hidden = None if text is None or "@" not in text else hidden_party(text, self.key)
        return hidden if hidden is not None and hidden.partition("@")[0] in self._addresses() else text

    def _addresses(self) -> set[str]:
        return {pseudonym_of(self.key, name) for name in self.names}


def names_of(reader: Reader, tenant: str, said: Iterable[str]) -> list[str]:
    """The names that mean a user, and its object ids: those that are given, and those that the store knows."""
    rows = reader.connection.execute("SELECT name, value FROM entities WHERE kind='alias' AND tenant=?", (tenant,))
    return names_known(State(reader), tenant, said, [(name, _aliases(value)) for name, value in rows])


def person_of(reader: Reader, command: UserErased) -> Person:
    """Who a command means, by the tenant's key if it has one."""
    account = reader.account(command.tenant)
    if account is None:
        raise RaterError(f"{command.tenant}: no such tenant in {reader.path}", Exit.FAILED)
    key = account.pseudonym_key or command.key
    found = State(reader).user_meant_by(command.tenant, command.user)
    shown = command.user if found is None else found.user
    names = frozenset(name_key(name) for name in (command.user, *command.also, shown))
    return Person(command.tenant, names, erased_name(key, shown), key)


def erased_name(key: str, shown: str) -> str:
    """The pseudonym of a name; of a pseudonym itself."""
    return shown if is_pseudonym(shown) else pseudonym_of(key, shown)


def waiting_letters(reader: Reader, person: Person) -> list[Letter]:
    """Dead letters of the user that nobody dealt with: erased, they could never be rated."""
    return [one for one in letters_of(reader) if one.state not in SETTLED and _is_about(person, one.letter)]


def rows_of(reader: Reader, person: Person) -> Iterator[Row]:
    """Every row of a topic that names the user, as it is to stand."""
    for topic, renamed in _RENAMED.items():
        if not reader.has(topic):
            continue
        for offset, value in reader.topic(topic, person.tenant):
            row = renamed(person, topic, offset, value)
            if row is not None and row.value != value:
                yield row


def _call(person: Person, topic: str, offset: int, value: bytes) -> Row | None:
    call = _calls(value)
    if person.is_meant(call.user):
        call = erased_call(call, person.names, person.pseudonym, person.key)
    else:
        calling, called = person.party(call.calling), person.party(call.called)
        if (calling, called) == (call.calling, call.called):
            return None
        call = msgspec.structs.replace(call, calling=calling, called=called)
    return Row(topic, offset, encode(call), call=call.usage_id)


def _debit(person: Person, topic: str, offset: int, value: bytes) -> Row | None:
    debit = _debits(value)
    if not person.is_meant(debit.user):
        return None
    return Row(topic, offset, encode(msgspec.structs.replace(debit, user=person.pseudonym)))


def _event(person: Person, topic: str, offset: int, value: bytes) -> Row | None:
    event = _events(value)
    pool = event.pool and renamed_pool(event.pool, person.names, person.pseudonym)
    user = person.pseudonym if person.is_meant(event.user) else event.user
    if (user, pool) == (event.user, event.pool):
        return None
    return Row(topic, offset, encode(msgspec.structs.replace(event, user=user, pool=pool)))


def _service(person: Person, topic: str, offset: int, value: bytes) -> Row | None:
    state = _states(value)
    if not person.is_meant(state.user):
        return None
    state = msgspec.structs.replace(state, user=person.pseudonym)
    return Row(topic, offset, encode(state), state.name)


def _order(person: Person, topic: str, offset: int, value: bytes) -> Row | None:
    order = _orders(value)
    if not person.is_meant(order.user):
        return None
    order = msgspec.structs.replace(order, user=person.pseudonym)
    return Row(topic, offset, msgspec.json.encode(order))


def _letter(person: Person, topic: str, offset: int, value: bytes) -> Row | None:
    """Of a dead letter that was dealt with the reason and the place stay."""
    letter = _letters(value)
    if not _is_about(person, letter):
        return None
    size = len(raw_bytes(letter))
    letter = msgspec.structs.replace(
        letter, raw="", raw_encoding="utf-8", raw_cut=True, raw_length=size, raw_hash=None, message=ERASED_MESSAGE
    )
    return Row(topic, offset, encode(letter))


_RENAMED: dict[str, Callable[[Person, str, int, bytes], Row | None]] = {
    "rated-calls": _call,
    "debits": _debit,
    "account-events": _event,
    "service-states": _service,
    "rejected-cdrs": _letter,
    "call-commands": _order,
}


def _is_about(person: Person, letter: RejectedCdr) -> bool:
    text = f"{letter.message}\n{raw_bytes(letter).decode('utf-8', 'replace')}".casefold()
    return any(_mention(name).search(text) for name in person.names)


def _mention(name: str) -> re.Pattern[str]:
    """A name as a word of its own, also where JSON has its letters as escapes."""
    spelled = {name, msgspec.json.encode(name).decode()[1:-1], ascii(name)[1:-1]}
    return re.compile(rf"(?<![\w.@-])(?:{'|'.join(map(re.escape, sorted(spelled)))})(?![\w-]|[.@]\w)")


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure did: the name from now on, and how many rows of each table named the user."""

    tenant: str
    pseudonym: str
    rows: dict[str, int]


def erase(
    store: Store, rater: EmbeddedRater, command: UserErased, progress: Callable[[int], None] = lambda _: None
) -> Erased:
    """Erase a user, with the steps of the module's docstring.

    Raises RaterError, and nothing was changed: the store differs from its inputs, or dead letters of the user wait.
    """
    person = person_of(store, command)
    if waiting := waiting_letters(store, person):
        raise RaterError(
            f"{command.tenant}: {len(waiting)} dead letters of this user wait, and could never be rated once they"
            f" are erased; first replay or drop them: rater dlq ls --tenant {command.tenant}; nothing was changed",
            Exit.FAILED,
        )
    report = verify_store(store.path, progress)  # 1
    if report.found:
        raise RaterError(
            f"{store.path}: {report.found} differences from what its inputs give; nothing was erased, for later"
            " nobody could find them; see rater verify --store, and restore a backup",
            Exit.FAILED,
        )
    outcome, refused = rater.apply(command)  # 2
    if refused is not None or outcome is Outcome.REJECTED:
        why = f"{refused.field}: {refused.message}" if refused is not None else "see rater dlq ls"
        raise RaterError(f"{command.tenant}: refused: {why}", Exit.REFUSED)
    with store.transaction():  # 3
        counts = _rewrite(store, person)
        note_opening(store.connection, rewritten=True)
        begin_base(store.connection, "a user was erased then, and all was verified before")
    _compact(store.connection)  # 4
    forget_lookup(store.path)  # 5
    return Erased(tenant=command.tenant, pseudonym=person.pseudonym, rows=counts)


def _rewrite(store: Store, person: Person) -> dict[str, int]:
    connection = store.connection
    counts = dict.fromkeys(_RENAMED, 0)
    calls: list[str] = []
    for row in list(rows_of(store, person)):
        connection.execute(
            f'UPDATE "{row.topic}" SET key=coalesce(?, key), value=? WHERE offset=?',  # noqa: S608 - a closed list
            (row.key, row.value, row.offset),
        )
        counts[row.topic] += 1
        if row.call is not None:
            calls.append(row.call)
    connection.executemany(
        'DELETE FROM "switch-lines" WHERE tenant=? AND usage_id=?', [(person.tenant, id) for id in calls]
    )
    forget_user(connection, person.tenant, person.is_meant)
    return counts


def _compact(connection: sqlite3.Connection) -> None:
    """Write the file anew without what was deleted, and nothing beside it that holds it."""
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
