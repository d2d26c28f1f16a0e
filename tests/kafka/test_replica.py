"""A replica of the topics answers as a store does in which the same inputs were rated."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rater.core import RatingSettings
from rater.dev.generate import Spec
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Reader, Store, open_reader
from rater.files.source import InputFile
from rater.kafka.batch_publisher import Message
from rater.wire.codec import decode_deck
from tests.conftest import LONG
from tests.kafka.deployment import Deployment, calls, provisioning, until
from tests.kafka.test_serve import server
from tests.serve.processes import ServeProcess
from tests.serve.world import clients_file

KILLS = 20 if LONG else 4
SPEC = Spec(seed=5, tenants=6, calls=600, users=60, funds="20", duplicate_share=0.05, poison_share=0.02)


def embedded(messages: Iterable[Message], folder: Path) -> Path:
    """A store in which a run rated what was published."""
    folder.mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[bytes]] = {"commands": [], "cdrs": []}
    path = folder / "embedded.db"
    store = Store(path)
    rater = EmbeddedRater(store, RatingSettings(), None)
    for topic, _, value in messages:
        if topic == "rate-decks":
            rater.publish(decode_deck(value))
        else:
            lines[topic].append(value)
    for topic, values in lines.items():
        file = folder / f"{topic}.jsonl"
        file.write_bytes(b"".join(value + b"\n" for value in values))
        rater.consume(InputFile(str(file), topic, arrived=datetime.now(UTC)))
    store.close()
    return path


def facts(reader: Reader) -> dict[str, Any]:
    """What a reader says; where records came from, and in which order those of different tenants, is another thing."""
    found: dict[str, Any] = {"tenants": reader.tenants(), "decks": [deck.version for deck in reader.decks()]}
    for tenant in found["tenants"]:
        found[f"account/{tenant}"] = reader.account(tenant)
        for topic in ("rated-calls", "debits", "account-events", "recharges", "rejected-cdrs"):
            records = [json.loads(value) for _, value in reader.topic(topic, tenant)]
            found[f"{topic}/{tenant}"] = [{k: v for k, v in one.items() if k != "source"} for one in records]
    return found


@pytest.fixture
def replica(deployment: Deployment, tmp_path: Path) -> Iterator[ServeProcess]:
    """A server with a replica; not started yet, and ended with the test."""
    serving = server(deployment, tmp_path, clients_file(tmp_path), f"--replica={tmp_path / 'replica.db'}")
    yield serving
    if serving.process is not None and serving.process.poll() is None:
        serving.kill()


def test_a_replica_answers_as_a_store(deployment: Deployment, replica: ServeProcess, tmp_path: Path) -> None:
    """Accounts, calls, debits, events, requests and dead letters, tenant by tenant, are those of an embedded run."""
    messages = [*provisioning(SPEC), *calls(SPEC)]
    deployment.publish(messages)
    deployment.start("worker-0")
    deployment.wait_until_rated()
    replica.start()
    replica.wait_until_ready()
    assert facts(open_reader(tmp_path / "replica.db")) == facts(open_reader(embedded(messages, tmp_path)))
    assert replica.stop() == 0
