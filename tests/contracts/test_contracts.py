"""The contracts: topics, schemas and examples agree with the code."""

import copy
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from rater.core.outputs import OUTPUT_TOPICS
from rater.core.reasons import Refusal
from rater.wire.codec import decode_cdr, encode_input
from rater.wire.generated_files import drifted
from rater.wire.schemas import FOLDER, RECORDS, breaks, schema_of, texts
from rater.wire.topics import load_topics

EXAMPLES = sorted(FOLDER.glob("examples/*/*.json"))


def test_every_topic_has_its_file() -> None:
    """Architecture "Contracts": one file for each topic of the code, and the internal `state`."""
    topics = load_topics()
    assert set(topics) == {*RECORDS, "state"}
    assert {topics[name].partitions for name in OUTPUT_TOPICS} == {48}
    for name, (record, _) in RECORDS.items():
        assert topics[name].record == record
    assert [
        name for name, topic in topics.items() if topic.retention_hours and topic.cleanup_policy == "compact"
    ] == []


def test_schemas_have_not_drifted() -> None:
    """The committed schemas are those that the code defines."""
    assert drifted("rater.wire.schemas", texts()) == []


def test_every_topic_has_an_example() -> None:
    """Examples show every topic, and every command."""
    assert {path.parent.name for path in EXAMPLES} == set(RECORDS)
    assert len([path for path in EXAMPLES if path.parent.name == "commands"]) == 17


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_examples_are_valid(path: Path) -> None:
    """An example fits its schema, is read by the code, and comes back the same."""
    topic, text = path.parent.name, path.read_text(encoding="utf-8")
    Draft202012Validator(schema_of(topic)).validate(json.loads(text))
    value = msgspec.json.decode(text, type=RECORDS[topic][1])
    assert json.loads(encode_input(value)) == json.loads(text)


def changed(schema: dict[str, Any], record: str, **part: Any) -> dict[str, Any]:
    other = copy.deepcopy(schema)
    other["$defs"][record].update(part)
    return other


def test_compatibility_is_checked() -> None:
    """Inputs backward, outputs forward: a new required input field, a lost output field and a new type are found."""
    cdrs, debits = schema_of("cdrs"), schema_of("debits")
    required = cdrs["$defs"]["CallRecord"]["required"]
    assert breaks(cdrs, cdrs, reads_old=True) == []
    stricter = changed(cdrs, "CallRecord", required=[*required, "user"])
    assert breaks(cdrs, stricter, reads_old=True) == ["CallRecord.user became required"]
    fewer = changed(debits, "Debit", required=["tenant"])
    assert "Debit.id is no longer always there" in breaks(debits, fewer, reads_old=False)
    retyped = copy.deepcopy(debits)
    retyped["$defs"]["Debit"]["properties"]["amount"] = {"type": "number"}
    del retyped["$defs"]["Debit"]["properties"]["balance"]
    assert breaks(debits, retyped, reads_old=False) == ["Debit.amount changed its type", "Debit.balance is gone"]


def test_the_schema_of_calls_says_that_a_duration_may_be_null() -> None:
    """Rule 73: null is a call that was not connected, to the decoder and to who checks with the schema."""
    call = {"tenant": "contoso", "usage_id": "a", "type": "user_in", "answered_at": "2025-03-01T10:00:00Z"}
    schema = Draft202012Validator(schema_of("cdrs"))
    for duration, valid in ((None, True), (61, True), (-1, True), ("61", False), (61.5, False)):
        record = call | {"duration_s": duration}
        assert (schema.is_valid(record), not isinstance(decode_cdr(msgspec.json.encode(record)), Refusal)) == (
            valid,
            valid,
        )


def test_an_input_that_may_also_be_null_breaks_nobody() -> None:
    """What was valid still is; an output that becomes null is a new type to its readers."""
    new = schema_of("cdrs")
    old = copy.deepcopy(new)
    old["$defs"]["CallRecord"]["properties"]["duration_s"]["type"] = "integer"
    assert breaks(old, new, reads_old=True) == []
    assert breaks(old, new, reads_old=False) == ["CallRecord.duration_s changed its type"]
