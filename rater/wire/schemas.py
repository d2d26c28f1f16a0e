"""JSON Schemas of every topic's records, generated from the one definition of each.

`python -m rater.wire.schemas` writes them; `--check` says which are not what the code defines.
"""

import json
from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec

from rater.core import TOPIC_OF, AnyCommand, CallCommand, CallEvent, CallRecord, RateDeck
from rater.wire.admin_audit import AdminAudit
from rater.wire.commits import Commit
from rater.wire.dead_letters import DlqAudit
from rater.wire.generated_files import write_or_check
from rater.wire.topics import FOLDER as TOPICS

FOLDER = TOPICS.parent / "schemas"
VERSION = 1
#: What each topic's value is; a tagged union is one schema.
RECORDS: dict[str, tuple[str, Any]] = {
    "cdrs": ("CallRecord", CallRecord),
    "commands": ("Command", AnyCommand),
    "rate-decks": ("RateDeck", RateDeck),
    "commits": ("Commit", Commit),
    "dlq-audit": ("DlqAudit", DlqAudit),
    "admin-audit": ("AdminAudit", AdminAudit),
    "call-events": ("CallEvent", CallEvent),
    "call-commands": ("CallCommand", CallCommand),
    **{topic: (type.__name__, type) for type, topic in TOPIC_OF.items()},
}


def schema_of(topic: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a topic's values."""
    name, type = RECORDS[topic]
    schema = unindented(msgspec.json.schema(type))
    if CallRecord.__name__ in schema["$defs"]:
        # a null is read as an absent duration (rule 73), which the decoder does and the type does not say
        schema["$defs"][CallRecord.__name__]["properties"]["duration_s"]["type"] = ["integer", "null"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"{name} v{VERSION}", **schema}


def unindented(value: Any) -> Any:
    """The schema with its descriptions as every Python has them: from 3.13 on docstrings have no indent."""
    if isinstance(value, list):
        return [unindented(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: cleandoc(each) if name == "description" and isinstance(each, str) else unindented(each)
        for name, each in value.items()
    }


def schema_path(topic: str) -> Path:
    """Where a topic's schema lies in a checkout."""
    return FOLDER / f"{topic}.v{VERSION}.schema.json"


def schema_text(topic: str) -> str:
    """The schema as it is committed."""
    return json.dumps(schema_of(topic), indent=2, ensure_ascii=False) + "\n"


def texts() -> dict[Path, str]:
    """Every schema file with its text."""
    return {schema_path(topic): schema_text(topic) for topic in RECORDS}


def breaks(old: dict[str, Any], new: dict[str, Any], *, reads_old: bool) -> list[str]:
    """How a new schema breaks an old one.

    `reads_old`: the new reader meets old records (inputs, backward), so nothing may become required; otherwise
    old readers meet new records (outputs, forward), so nothing required may go and no type may change.
    """
    found = []
    for name, before in old.get("$defs", {}).items():
        after = new.get("$defs", {}).get(name)
        if after is None:
            found.append(f"{name} is gone")
            continue
        gained = set(after.get("required", ())) - set(before.get("required", ()))
        lost = set(before.get("required", ())) - set(after.get("required", ()))
        if reads_old:
            found.extend(f"{name}.{field} became required" for field in sorted(gained))
        else:
            found.extend(f"{name}.{field} is no longer always there" for field in sorted(lost))
        for field, type in before.get("properties", {}).items():
            changed = after.get("properties", {}).get(field)
            if changed is None:
                found.append(f"{name}.{field} is gone")
            elif changed.get("type") != type.get("type") and not (reads_old and _widened(type, changed)):
                found.append(f"{name}.{field} changed its type")
    return found


def _widened(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether a reader of the new type reads every value of the old one."""
    return isinstance(after.get("type"), list) and before.get("type") in after["type"]


if __name__ == "__main__":
    write_or_check("rater.wire.schemas", texts())
