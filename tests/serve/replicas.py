"""What a replica is compared with: a store in which a run rated the same inputs, asked by the same commands."""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rater.core import NO_TENANT, RateDeck, RatingSettings
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store, open_reader
from rater.files.source import InputFile
from rater.kafka.port import Consumed
from rater.serve.replica.file import ReplicaFile
from rater.serve.replica.rows import TOPICS, Place, Reading
from rater.wire.codec import decode_deck
from tests.commands import invoke

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
IDS = {topic: f"id-of-{topic}" for topic in TOPICS}
Log = dict[Place, list[Consumed]]
#: Where a record came from is another thing; and so is, on Kafka, in which order tenants come.
_PLACES = ("source",)
_TABLES = ("usage", "pools", "debits", "funds", "balances", "call-commands")
_OF_TENANT = ("tenant", "pools", "balance", "calls")


def embedded(messages: Iterable[tuple[str, str, bytes]], folder: Path) -> Path:
    """A store in which a run rated what was published: topic, key and value of each."""
    folder.mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[bytes]] = {"commands": [], "cdrs": []}
    path = folder / "embedded.db"
    store = Store(path)
    try:
        rater = EmbeddedRater(store, RatingSettings(), None)
        for topic, _, value in messages:
            if topic == "rate-decks":
                deck = decode_deck(value)
                assert isinstance(deck, RateDeck), deck
                rater.publish(deck)
            else:
                lines[topic].append(value)
        for topic, values in lines.items():
            file = folder / f"{topic}.jsonl"
            file.write_bytes(b"".join(value + b"\n" for value in values))
            rater.consume(InputFile(str(file), topic, arrived=datetime.now(UTC)))
    finally:
        store.close()
    return path


def answers(path: Path) -> dict[str, Any]:
    """What the commands for people print of a file, JSON where they can; records of tenants in the tenants' order."""
    reader = open_reader(path)
    try:
        tenants = reader.tenants()
        ids = {t: [json.loads(value)["usage_id"] for _, value in reader.topic("rated-calls", t)] for t in tenants}
        found: dict[str, Any] = {"tenants": tenants, "decks": [deck.version for deck in reader.decks()]}
        found["seen"] = sorted(reader.connection.execute("SELECT key, value FROM seen"))
        for topic in ("debits", "account-events", "recharges"):
            records = [json.loads(value) for _, value in reader.topic(topic)]
            found[topic] = sorted((_placeless(one) for one in records if one["tenant"] in tenants), key=_by_tenant)
    finally:
        reader.close()
    for tenant in tenants:
        for what in _OF_TENANT:
            found[f"show {what} {tenant}"] = _said("show", what, tenant, "--json", f"--store={path}")
        found[f"statement {tenant}"] = _said("statement", tenant, "--format=json", f"--store={path}")
        words = ("statement", tenant, "--period=2025-03", "--format=json", f"--store={path}")
        found[f"statement of March {tenant}"] = _said(*words)
        for id in ids[tenant][::20]:
            found[f"explain {id}"] = invoke("explain", id, f"--tenant={tenant}", f"--store={path}").stdout
    for table in _TABLES:
        said = invoke("export", table, "--format=jsonl", f"--store={path}")
        assert said.exit_code == 0, said.output
        rows = [json.loads(line) for line in said.stdout.splitlines()]
        found[f"export {table}"] = sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))
    letters = _said("dlq", "ls", "--all", "--json", f"--store={path}")
    found["dlq ls"] = sorted((_placeless(letter) for letter in letters), key=lambda letter: str(letter["id"]))
    return found


def _said(*words: str) -> Any:
    said = invoke(*words)
    assert said.exit_code == 0, said.output
    return json.loads(said.stdout)


def _placeless(record: dict[str, Any]) -> dict[str, Any]:
    """What nobody owns is counted in each partition on its own: its numbers are others than a store's."""
    places = _PLACES if record["tenant"] != NO_TENANT else (*_PLACES, "sequence")
    return {name: value for name, value in record.items() if name not in places}


def _by_tenant(record: dict[str, Any]) -> tuple[str, int]:
    return record["tenant"], record["sequence"]


def pieces(log: Log, seed: int) -> Iterator[tuple[Place, Sequence[Consumed]]]:
    """The records in pieces of 1 to 40, topics in any order, each topic's in its own."""
    chance, left = random.Random(seed), {place: list(records) for place, records in log.items() if records}
    while left:
        place = chance.choice(sorted(left))
        size = chance.randint(1, 40)
        yield place, left[place][:size]
        left[place] = left[place][size:]
        left = {one: records for one, records in left.items() if records}


def filled(path: Path, log: Log, seed: int = 1) -> ReplicaFile:
    """A replica of all of it, a commit for each piece."""
    file, reading = ReplicaFile(path), Reading()
    file.fit(IDS, NOW)
    for place, records in pieces(log, seed):
        reading.add(place, records)
        file.apply(reading.changes(), None)
    return file


def rows(path: Path, topic: str) -> list[tuple[int, bytes]]:
    reader = open_reader(path)
    try:
        return list(reader.topic(topic))
    finally:
        reader.close()
