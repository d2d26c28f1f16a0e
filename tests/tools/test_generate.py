"""Generated months: the same for the same seed, and with everything in them that happens."""

from collections import Counter
from datetime import UTC, datetime

import msgspec

from rater.core.inputs import CallRecord
from rater.dev.generate import Spec, generate_calls, generate_commands
from rater.wire.codec import encode_input

SPEC = Spec(seed=5, calls=5000, poison_share=0.01, conflict_share=0.002, late_share=0.01)


def test_the_same_seed_gives_the_same_month() -> None:
    """Seeded."""
    assert list(generate_calls(SPEC)) == list(generate_calls(SPEC))
    assert list(map(encode_input, generate_commands(SPEC))) == list(map(encode_input, generate_commands(SPEC)))
    assert list(generate_calls(SPEC)) != list(generate_calls(msgspec.structs.replace(SPEC, seed=6)))


def test_a_month_has_everything_in_it() -> None:
    """Call types, hours, duplicates, corrections, conflicts, late records, poison, emergencies."""
    everything = list(generate_calls(SPEC))
    calls = [call for call in everything if isinstance(call, CallRecord)]
    assert len(everything) == 5000
    assert 20 < len(everything) - len(calls) < 90
    types = Counter(call.type.value for call in calls)
    assert types.most_common(1)[0][0] == "user_out"
    assert len(types) == 11
    ids = Counter((call.usage_id, call.version) for call in calls)
    assert any(count > 1 for count in ids.values())
    assert any(call.version > 1 for call in calls)
    assert any(call.duration_s == 0 for call in calls)
    assert any(call.received_at is not None for call in calls)
    april = datetime(2025, 4, 1, tzinfo=UTC)
    assert any(call.answered_at < april < call.ended_at for call in calls if call.ended_at is not None)
    hours = Counter(call.answered_at.hour for call in calls)
    assert hours[10] > 5 * max(1, hours[3])
    weekdays = Counter(call.answered_at.weekday() for call in calls)
    assert weekdays[1] > 2 * weekdays[6]


def test_a_hot_tenant() -> None:
    """One tenant may have most users."""
    spec = Spec(tenants=10, users=100, hot_tenant_share=0.8)
    users = Counter(command.tenant for command in generate_commands(spec) if hasattr(command, "sku"))
    assert users["tenant-0000"] > 5 * users["tenant-0001"]
