"""One tenant's books on Kafka, read once up to the end as of now: its state, and its records in files of their own.

A tenant may have more records than memory holds, so they lie in temporary files until the books are closed.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from rater.core import Account, CallCommand, CallRecord, Committed, Entity, Key, Memory
from rater.kafka.settings import KafkaSettings
from rater.kafka.tenant_topics import state_of, values_of

#: What a statement reads.
TOPICS = ("rated-calls", "debits", "account-events")


class TenantBooks(Committed):
    """Books (see rater.engine.books) of one tenant; its orders to switches are not among them."""

    def __init__(self, tenant: str, state: Memory) -> None:
        self._tenant, self._state = tenant, state
        self._folder = TemporaryDirectory(prefix="rater-")

    def close(self) -> None:
        """Delete the files."""
        self._folder.cleanup()

    def path(self, topic: str) -> Path:
        """The file of a topic: a record a line, as JSON has no line ends of its own."""
        return Path(self._folder.name) / topic

    def load(self, kind: str, key: Key) -> Entity | None:
        """See Committed."""
        return self._state.load(kind, key)

    def prepare(self, calls: Sequence[CallRecord]) -> None:
        """See Committed; everything is at hand here."""

    def tenants(self) -> list[str]:
        """See Books."""
        return [self._tenant]

    def account(self, tenant: str) -> Account | None:
        """See Books."""
        found = self.load("account", (tenant, ""))
        return found if isinstance(found, Account) else None

    def names(self, kind: str, tenant: str) -> list[str]:
        """See Books."""
        return sorted(name for owner, name in self._state.entities[kind] if owner == tenant)

    def topic(
        self, name: str, tenant: str | None = None, *, newest_first: bool = False
    ) -> Iterator[tuple[int, bytes]]:
        """See Books, of this tenant and from the oldest on; the offset counts its records."""
        assert tenant in (None, self._tenant), tenant
        assert not newest_first, name
        with self.path(name).open("rb") as lines:
            yield from enumerate(line.removesuffix(b"\n") for line in lines)

    def orders(self, tenant: str | None = None) -> list[CallCommand]:
        """See Books."""
        del tenant
        return []


async def books_of(settings: KafkaSettings, tenant: str) -> TenantBooks:
    """The state first: what was written after it is passed over by who compares sequences with the account's."""
    with ExitStack() as kept:
        books = TenantBooks(tenant, await state_of(settings, tenant))
        kept.callback(books.close)
        for topic in TOPICS:
            with books.path(topic).open("wb") as lines:
                async for value in values_of(settings, topic, tenant, None):
                    lines.write(value + b"\n")
        kept.pop_all()
        return books
