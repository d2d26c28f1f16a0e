"""A tenant whose outputs are kept as topics have them, so that statements can be made of them."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from rater.core.call_control import CallCommand
from rater.core.entities import Account, Entity
from rater.core.inputs import CallRecord, CallRerated
from rater.core.mediation import mediate
from rater.core.outputs import TOPIC_OF, RatedCall
from rater.core.state import Committed, Key
from rater.files.deck_csv import read_deck
from rater.files.statement import Statement, statement_of
from rater.wire.codec import encode
from tests.world import DECK, T, World, at


class Kept(Committed):
    """Books (see rater.engine.books) of a World."""

    def __init__(self, world: World, topics: dict[str, list[bytes]]) -> None:
        self._world, self.topics = world, topics

    def load(self, kind: str, key: Key) -> Entity | None:
        """See Committed."""
        return self._world.engine.committed().load(kind, key)

    def prepare(self, calls: object) -> None:
        """See Committed."""

    def tenants(self) -> list[str]:
        """See Books."""
        return [T]

    def account(self, tenant: str) -> Account | None:
        """See Books."""
        return self._world.account if tenant == T else None

    def names(self, kind: str, tenant: str) -> list[str]:
        """See Books; the names of pools that a rated call drew on."""
        assert (kind, tenant) == ("pool", T)
        calls = [msgspec.json.decode(value, type=RatedCall) for value in self.topics["rated-calls"]]
        return sorted({segment.pool for call in calls for segment in call.segments if segment.pool is not None})

    def topic(
        self, name: str, tenant: str | None = None, *, newest_first: bool = False
    ) -> Iterator[tuple[int, bytes]]:
        """See Books."""
        assert (tenant, newest_first) == (T, False)
        yield from enumerate(self.topics[name])

    def orders(self, tenant: str | None = None) -> list[CallCommand]:
        """See Books; none was given."""
        assert tenant == T
        return []


class Ledger(World):
    """A World that keeps what each step causes."""

    def __init__(self, **settings: object) -> None:
        self.topics: dict[str, list[bytes]] = {topic: [] for topic in TOPIC_OF.values()}
        self.sent_as: dict[str, CallRecord] = {}
        super().__init__(**settings)  # type: ignore[arg-type]  # as World has them
        at_three_cents = read_deck(DECK, version="deck-1")
        rows = [msgspec.structs.replace(row, price_per_minute="0.03") for row in at_three_cents.rows]
        self.engine.publish(msgspec.structs.replace(at_three_cents, version="at-three-cents", rows=tuple(rows)))

    def _submit(self, kind: str, raw: bytes, arrived: str | None = None) -> list[str]:
        events = super()._submit(kind, raw, arrived)
        for output in self.outputs:
            self.topics[TOPIC_OF[type(output)]].append(encode(output))
        return events

    def rerate(self, usage_id: str, when: str, deck: str = "at-three-cents") -> None:
        """Rate the standing rating of a call again with another deck."""
        calls = [msgspec.json.decode(value, type=RatedCall) for value in self.topics["rated-calls"]]
        call = [one for one in calls if one.usage_id == usage_id][-1]
        record = CallRecord(
            tenant=T,
            usage_id=usage_id,
            version=call.version,
            type=call.type,
            answered_at=call.answered_at,
            duration_s=call.duration_s,
            user=call.user,
            calling=call.calling,
            called=call.called,
            number_type=call.number_type,
        )
        assert mediate(record, b"").id
        self.happened += 1
        self.apply(
            CallRerated(
                tenant=T,
                id=f"rerate-{self.happened}",
                at=at(when),
                call=record,
                content=call.content,
                rating=call.rating + 1,
                deck=deck,
                late=call.late,
            )
        )

    def statement(self, since: str | None = None, until: str | None = None) -> Statement:
        """The statement of a period; a day stands for its beginning."""
        return statement_of(Kept(self, self.topics), T, _instant(since), _instant(until))


def _instant(text: str | None) -> datetime | None:
    return at(text) if text else None


def entries(statement: Statement) -> dict[str, tuple[int, int]]:
    """Name -> count and micro-units."""
    return {entry.name.value: (entry.count, entry.amount) for entry in statement.entries}
