"""No output is larger than a message may be, for the largest records that are legal and the largest that are not.

A topic with default settings accepts 1,048,588 bytes, batch and all; so the bound here is a megabyte.
"""

from typing import Any

import msgspec
import pytest

from rater.core.outputs import RatedCall, RejectedCdr
from rater.core.reasons import Reason
from rater.wire.codec import RECORD_BYTES_MAX
from rater.wire.commits import Commit
from tests.simulation.play import audit
from tests.simulation.test_task import HOME, TENANT, Desk, finish

WIDE, ESCAPED = "\U0001f4de", "\x01"
AT = "2025-03-10T10:00:00Z"
CALL: dict[str, Any] = {
    "tenant": TENANT, "usage_id": WIDE * 128, "type": "user_out", "answered_at": AT, "duration_s": 60,
    "user": WIDE * 128, "calling": "+14255550100", "called": "+442079460000", "number_type": "toll",
    "call_id": ESCAPED * 256, "conference_id": ESCAPED * 256, "destination": ESCAPED * 256,
    "user_object_id": ESCAPED * 256, "user_display_name": ESCAPED * 256, "reported_capability": ESCAPED * 256,
}  # fmt: skip
COMMANDS: dict[str, dict[str, Any]] = {
    "tenant_configured": {"domains": [".".join(["a" * 60] * 4) + f".d{number}" for number in range(1000)]},
    "user_configured": {
        "user": WIDE * 128,
        "object_id": WIDE * 128,
        "outbound_policy": "DialoutCPCDomesticPSTNInternational",
    },
    "license_assigned": {"user": WIDE * 128, "sku": "MCOPSTN5", "country": "US"},
    "license_removed": {"user": "u1", "sku": "MCOPSTN5"},
    "funds_added": {"amount": "5", "purchase_order": ESCAPED * 256, "agreement": ESCAPED * 256},
    "payment_succeeded": {"recharge_id": WIDE * 128, "amount": "5"},
    "payment_failed": {"reason": ESCAPED * 256},
    "call_accepted": {"letter": WIDE * 128, "by": ESCAPED * 256},
    "call_rerated": {
        "call": CALL,
        "content": ESCAPED * 256,
        "rating": 1,
        "deck": "deck-1",
        "reason": ESCAPED * 256,
    },
    "call_rerated with an unknown deck": {"call": CALL, "content": "", "rating": 1, "deck": WIDE * 128},
    "tick": {},
    "deck_activated": {"version": "deck-1"},
    "deck_activated of an unknown deck": {"version": WIDE * 128},
}


def padded(fields: dict[str, Any], size: int = RECORD_BYTES_MAX) -> bytes:
    """A record of so many bytes, by an unknown field."""
    raw = msgspec.json.encode(fields | {"padding": ""})
    return raw[:-2] + b"x" * (size - len(raw)) + raw[-2:]


def applied(desk: Desk) -> None:
    """Everything that was sent is applied; what was written is within the bound, and verify agrees."""
    task = desk.owner()
    for _ in range(3):
        finish(task.step())
    sizes = {
        topic: max((len(e.key or b"") + len(e.value or b"") for e in entries), default=0)
        for (topic, _), entries in desk.broker.logs.items()
        if topic not in ("cdrs", "commands")
    }
    assert {topic: size for topic, size in sizes.items() if size > 1_000_000} == {}
    assert audit(desk.broker).findings == []


def test_the_largest_legal_call_is_rated() -> None:
    """A record of exactly the limit, with every text as long as it may be."""
    desk = Desk()
    desk.send(padded(CALL))
    applied(desk)
    assert [rated.usage_id for rated in desk.read("rated-calls", RatedCall)] == [CALL["usage_id"]]
    assert desk.read("rejected-cdrs", RejectedCdr) == []


@pytest.mark.parametrize("kind", COMMANDS)
def test_the_largest_legal_commands_are_applied(kind: str) -> None:
    """Of each kind: its answer, the state and the balance are within the bound."""
    desk = Desk()
    command = {"command": kind.partition(" ")[0], "tenant": TENANT, "id": WIDE * 128, "at": AT} | COMMANDS[kind]
    desk.send(padded(command), topic="commands")
    applied(desk)
    refused = {letter.reason for letter in desk.read("rejected-cdrs", RejectedCdr)}
    assert Reason.MALFORMED not in refused
    assert Reason.TOO_LARGE not in refused


@pytest.mark.parametrize(
    "raw",
    [
        padded(CALL, RECORD_BYTES_MAX + 1),
        b"\x00" * 994_000,
        b"\x01" * 1_040_000,
        b"\xff" * 1_040_000,
        WIDE.encode() * 250_000,
        b'"' * 1_040_000,
        b"\\" * 1_040_000,
    ],
    ids=["just over", "NUL", "control characters", "no UTF-8", "wide characters", "quotes", "backslashes"],
)
@pytest.mark.parametrize("topic", ["cdrs", "commands"])
def test_the_largest_refused_records_are_bounded_letters(raw: bytes, topic: str) -> None:
    """One letter each, which says how long the original is and where it stands."""
    desk = Desk()
    desk.send(raw, topic=topic)
    applied(desk)
    (letter,) = desk.read("rejected-cdrs", RejectedCdr)
    assert (letter.raw_cut, letter.raw_length, letter.source.topic) == (True, len(raw), topic)
    entries = desk.broker.logs[("rejected-cdrs", HOME)]
    assert max(len(entry.value or b"") for entry in entries) < 110_000


@pytest.mark.parametrize("count", [300, 4_000])
def test_unpublished_decks_are_named_in_the_commits(count: int) -> None:
    """As many as a batch has, each with a name of the greatest length: in as many commits as they ask for."""
    desk = Desk(batch_bytes_max=16_000_000, batch_records_max=count + 1)
    for number in range(count):
        fields = {"command": "deck_activated", "tenant": TENANT, "id": f"d-{number}", "at": AT}
        desk.send(msgspec.json.encode(fields | {"version": f"{number:04d}" + WIDE * 124}), topic="commands")
    desk.send(msgspec.json.encode(CALL))
    applied(desk)
    unknown = [version for commit in desk.read("commits", Commit) for version in commit.unknown_decks]
    assert len(unknown) == count
    assert [rated.usage_id for rated in desk.read("rated-calls", RatedCall)] == [CALL["usage_id"]]
