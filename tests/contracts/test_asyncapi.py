"""The AsyncAPI document: valid, complete, and the same contract as the JSON Schemas."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator

from rater.wire.asyncapi import PATH, RATER_ROLES, texts
from rater.wire.generated_files import drifted
from rater.wire.schemas import FOLDER, RECORDS
from rater.wire.topics import load_topics

DOCUMENT: dict[str, Any] = yaml.safe_load(PATH.read_text())
OFFICIAL = Path(__file__).parent.parent / "fixtures/schemas/asyncapi-3.0.0.json"
EXAMPLES = sorted(FOLDER.glob("examples/*/*.json"))


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            if key == "$ref" and isinstance(part, str):
                yield part
            else:
                yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def found_at(pointer: str) -> Any:
    value: Any = DOCUMENT
    for step in pointer.removeprefix("#/").split("/"):
        value = value[step]
    return value


def test_the_document_has_not_drifted() -> None:
    """The committed document is what topics and records define."""
    assert drifted("rater.wire.asyncapi", texts()) == []


def test_the_document_is_valid() -> None:
    """AsyncAPI's own schema of version 3.0.0."""
    validator = Draft7Validator(json.loads(OFFICIAL.read_text()))
    assert [f"{list(error.path)}: {error.message[:200]}" for error in validator.iter_errors(DOCUMENT)] == []


@pytest.mark.parametrize(
    "damage",
    [
        {"asyncapi": "2.0.0"},
        {"channels": {"cdrs": {"adress": "cdrs"}}},
        {"operations": {"x": {"action": "publish", "channel": {"$ref": "#/channels/cdrs"}}}},
    ],
)
def test_an_invalid_document_is_found(damage: dict[str, Any]) -> None:
    """The check can fail."""
    validator = Draft7Validator(json.loads(OFFICIAL.read_text()))
    assert list(validator.iter_errors(DOCUMENT | damage))


def test_every_reference_leads_somewhere() -> None:
    """No message, channel or schema is named that is not there, and no schema is left over."""
    pointers = set(references(DOCUMENT))
    assert [pointer for pointer in pointers if not isinstance(found_at(pointer), dict)] == []
    unused = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]} - pointers
    assert unused == set()


def test_every_topic_is_a_channel() -> None:
    """All that have a record; the task's changelog is no contract."""
    assert DOCUMENT["channels"].keys() == RECORDS.keys() == load_topics().keys() - {"state"}


def test_rater_receives_what_it_consumes_and_sends_what_it_produces() -> None:
    """Directions are those of rater, as AsyncAPI 3 defines them."""
    topics = {name: topic for name, topic in load_topics().items() if topic.record}
    received = {name for name, topic in topics.items() if RATER_ROLES & set(topic.consumed_by)}
    sent = {name for name, topic in topics.items() if RATER_ROLES & set(topic.produced_by)}
    assert DOCUMENT["operations"].keys() == {f"receive-{name}" for name in received} | {
        f"send-{name}" for name in sent
    }
    assert {"cdrs", "commands", "rate-decks", "call-events", "dlq-audit"} == received
    assert {"debits", "call-commands"} < sent


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_examples_fit_the_document(path: Path) -> None:
    """What the JSON Schemas accept, the document accepts: it is one contract."""
    (message,) = DOCUMENT["channels"][path.parent.name]["messages"].values()
    payload = found_at(message["$ref"])["payload"]
    schema = {"components": {"schemas": DOCUMENT["components"]["schemas"]}, **payload}
    Draft202012Validator(schema).validate(json.loads(path.read_text()))
    assert not Draft202012Validator(schema).is_valid("not a record")


def test_two_records_with_parts_of_one_name_agree() -> None:
    """`Source` of a debit is `Source` of a balance: else one would overwrite the other."""
    seen: dict[str, Any] = {}
    for path in FOLDER.glob("*.schema.json"):
        for name, part in json.loads(path.read_text())["$defs"].items():
            assert seen.setdefault(name, part) == part, name
