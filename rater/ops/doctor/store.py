"""A store of the embedded rater: how large it is, how old, and whether something in it is past its retention."""

import shlex
from datetime import UTC, datetime
from pathlib import Path

from rater.core import format_micros
from rater.embedded.retention import size_of
from rater.embedded.store import open_reader
from rater.ops.doctor.check import Check, State
from rater.ops.doctor.cluster import closed_with_money
from rater.wire.errors import RaterError

_MIB = 1 << 20


def store(path: Path) -> Check:
    """Size and age; a warning where `rater prune` would delete inputs or dead letters wait."""
    try:
        reader = open_reader(path)
    except RaterError as wrong:
        return Check("store", State.FAIL, str(wrong).partition("\n")[0])
    try:
        size = size_of(reader, datetime.now(UTC).date())
        accounts = [account for tenant in reader.tenants() if (account := reader.account(tenant))]
    finally:
        reader.close()
    cause = (
        f"{path}: {size.bytes / _MIB:,.1f} MiB ({size.free_bytes / _MIB:,.1f} free in it); {size.calls:,} rated"
        f" calls, the oldest of {size.oldest_call or 'no day'}; {size.batches:,} batches of inputs;"
        f" {size.waiting:,} dead letters wait; age is counted from {size.since or 'the next run on'}"
    )
    if size.past_retention:
        return Check("store", State.WARN, cause, f"rater prune --store {shlex.quote(str(path))}")
    left = [
        said
        for one in accounts
        if one.closed_since and (said := closed_with_money(one.tenant, format_micros(one.balance), one.currency))
    ]
    if left:
        return Check("store", State.WARN, f"{cause}; {'; '.join(left)}", "rater statement NAME")
    if size.waiting:
        return Check("store", State.WARN, cause, f"rater dlq ls --store {shlex.quote(str(path))}")
    return Check("store", State.OK, cause)
