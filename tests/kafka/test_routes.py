"""Where records go when a tenant's partition becomes another: tables, without a broker."""

from datetime import UTC, datetime

import msgspec
import pytest

from rater.core import EVERY_TENANT, NO_TENANT, Account, Seen, Source
from rater.core.entities import Sequences
from rater.kafka.changelog import entity_of, pack, state_key
from rater.kafka.move.routes import nobodys_state, places_of_copy, places_of_input, split_state
from rater.kafka.port import Consumed
from rater.kafka.publisher import partition_of
from rater.wire.dead_letters import DlqAudit, LetterAction

AT = datetime(2025, 1, 1, tzinfo=UTC)
FORMER, MORE = 4, 10
#: contoso's partition among 4 and among 10.
HERE, THERE = partition_of("contoso", FORMER), partition_of("contoso", MORE)


def audit(action: LetterAction, tenant: str = "contoso") -> Consumed:
    source = Source("cdrs", 3, 17) if action is LetterAction.SKIPPED else None
    value = DlqAudit(tenant=tenant, id="1", action=action, by="grace", at=AT, source=source)
    return Consumed("dlq-audit", 3, 0, tenant.encode(), msgspec.json.encode(value))


@pytest.mark.parametrize(
    ("record", "homes"),
    [
        (Consumed("debits", HERE, 0, b"contoso", b'{"tenant":"contoso"}'), (THERE,)),
        (Consumed("service-states", HERE, 0, b"contoso/ada", b'{"tenant":"contoso"}'), (THERE,)),
        (Consumed("rejected-cdrs", 3, 0, b"-", b'{"tenant":"-"}'), (3,)),
        (audit(LetterAction.DROPPED), (THERE,)),
        (audit(LetterAction.REPLAYED, NO_TENANT), (3,)),
        (audit(LetterAction.SKIPPED, NO_TENANT), ()),
        (audit(LetterAction.LOSS_ACCEPTED, NO_TENANT), ()),
        (audit(LetterAction.TOPIC_ACCEPTED, NO_TENANT), ()),
    ],
)
def test_records_that_are_copied(record: Consumed, homes: tuple[int, ...]) -> None:
    """By tenant; what is for nobody stays; a decision about an offset is about the former topic and is left behind."""
    assert places_of_copy(record, MORE) == homes


@pytest.mark.parametrize(
    ("record", "homes"),
    [
        (Consumed("cdrs", 0, 5, b"contoso", b"{}"), [THERE]),
        (Consumed("cdrs", 0, 5, None, b'{"tenant":"contoso"}'), [THERE]),
        (Consumed("cdrs", 2, 5, None, b"poison"), [2]),
        (Consumed("commands", 2, 5, EVERY_TENANT.encode(), b"{}"), list(range(MORE))),
    ],
)
def test_inputs_that_nobody_has_rated(record: Consumed, homes: list[int]) -> None:
    """Where their key says, else their bytes; a command for everybody goes everywhere."""
    assert list(places_of_input(record, MORE)) == homes


def nobody(rejected: int, *decks: str) -> dict[bytes, bytes]:
    account = Account(
        tenant=NO_TENANT, currency="", clock=AT, wake_at=AT, decks=tuple((None, deck) for deck in decks)
    )
    account.sequences = Sequences(rejected_cdrs=rejected)
    seen = pack(Seen(AT))
    return {
        state_key("account", (NO_TENANT, "")): pack(account),
        **{state_key("seen", (NO_TENANT, f"command/deck-{deck}")): seen for deck in decks},
        state_key("seen", (NO_TENANT, f"letter/{rejected}")): seen,
    }


def test_what_is_for_nobody() -> None:
    """A new partition knows the decks and commands that were for everybody, and no dead letter of another one.

    Partition 3 was added by hand and missed the second deck.
    """
    found = nobodys_state({0: nobody(5, "d-1", "d-2"), 3: nobody(1, "d-1")}, MORE)
    place = state_key("account", (NO_TENANT, ""))
    accounts = [entity_of(place, found[number][place])[2] for number in range(MORE)]
    assert all(isinstance(account, Account) for account in accounts)
    assert {account.decks for account in accounts} == {((None, "d-1"), (None, "d-2"))}  # type: ignore[union-attr]
    numbered = [account.sequences.rejected_cdrs for account in accounts]  # type: ignore[union-attr]
    assert numbered == [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    letters = {number for number in found for key in found[number] if b"letter/" in key}
    commands = {number for number in found for key in found[number] if b"command/deck-d-2" in key}
    assert (letters, commands) == ({0, 3}, set(range(MORE)))


def test_entities_go_with_their_tenant() -> None:
    """A slash in a tenant's name is no mark."""
    keys = [state_key("account", (tenant, "")) for tenant in ("contoso", "a/c", NO_TENANT)]
    homes, left = split_state(dict.fromkeys(keys, b""), MORE)
    assert {number: set(pairs) for number, pairs in homes.items()} == {
        THERE: {keys[0]},
        partition_of("a/c", MORE): {keys[1]},
    }
    assert set(left) == {keys[2]}
