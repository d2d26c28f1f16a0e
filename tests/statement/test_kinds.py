"""Rules 17, 22, 28, 39, 47: each row of the table of kinds, by a call that is rated."""

from typing import Any

import msgspec
import pytest

from rater.core.classify import TABLE
from rater.core.reasons import Pocket
from rater.files.statement.kinds import KINDS, PAID, CallKind, kind_of
from rater.files.statement.model import ENTRY_OF_KIND, EntryName
from rater.files.statement.sections import KIND_LABELS, LABELS
from tests.world import BERLIN, GB_SPECIAL, HARARE, LONDON, US, ada, pockets

TOLL_FREE = "+18005550100"

#: What the user holds, the call, its kind, and the minutes by pocket that make it this kind.
ROWS: dict[str, tuple[tuple[str, ...], dict[str, Any], CallKind, list[tuple[str, int]]]] = {
    "within the plan": (("MCOPSTN5", "MCOPSTNPP"), {"called": US, "seconds": 60}, CallKind.POOL, [("pool", 1)]),
    "crosses the end of the plan: 120 + 2": (
        ("MCOPSTN5", "MCOPSTNPP"),
        {"called": US, "seconds": 122 * 60},
        CallKind.OVERFLOW,
        [("pool", 120), ("credit", 2)],
    ),
    "domestic without a plan": (("MCOPSTNPP",), {"called": US}, CallKind.OVERFLOW, [("credit", 1)]),
    "abroad, which the plan does not reach": (
        ("MCOPSTN5", "MCOPSTNPP"),
        {"called": HARARE},
        CallKind.INTERNATIONAL,
        [("credit", 1)],
    ),
    "a special rate": (("MCOPSTNPP",), {"called": GB_SPECIAL}, CallKind.PREMIUM, [("credit", 1)]),
    "somebody calls a toll-free number of a queue": (
        (),
        {"called": TOLL_FREE, "user": None, "type": "ucap_in", "calling": US, "toll_free": True},
        CallKind.TOLL_FREE,
        [("credit", 1)],
    ),
    "somebody joins a meeting by a toll-free number": (
        ("MCOMEETADV",),
        {"called": TOLL_FREE, "type": "conf_in", "calling": US, "toll_free": True},
        CallKind.TOLL_FREE,
        [("credit", 1)],
    ),
    "a meeting calls a number outside of Zone A": (
        ("MCOMEETADV", "MCOPSTNPP"),
        {"called": HARARE, "type": "conf_out"},
        CallKind.CONFERENCING,
        [("credit", 1)],
    ),
    "a meeting that is paid by the minute": (
        ("MCOMEETACPEA",),
        {"called": LONDON, "type": "conf_out"},
        CallKind.CONFERENCING,
        [("credit", 1)],
    ),
    "somebody joins a meeting by a toll number": (
        ("MCOMEETADV",),
        {"called": US, "type": "conf_in", "calling": BERLIN},
        CallKind.INCLUDED,
        [("included", 1)],
    ),
    "abroad, without the right to spend credits": (
        ("MCOPSTN5",),
        {"called": HARARE},
        CallKind.UNFUNDED,
        [("unfunded", 1)],
    ),
    "nobody answered": (("MCOPSTNPP",), {"called": HARARE, "seconds": 0}, CallKind.FREE, []),
    "direct routing": (("MCOPSTNPP",), {"called": HARARE, "type": "dr_out"}, CallKind.FREE, [("free", 1)]),
}


@pytest.mark.parametrize("name", ROWS)
def test_the_kind_of_a_call(name: str) -> None:
    """The first row that fits decides; a call of which a part was paid is a paid one."""
    skus, call, kind, drawn = ROWS[name]
    rated = ada(*skus).call(**call)
    assert (kind_of(rated), pockets(rated)) == (kind, drawn)


def test_every_row_of_the_table_is_shown_by_a_call() -> None:
    """`other` has no context: a queue that calls a number of an unknown country would be one."""
    shown = {kind for _, _, kind, _ in ROWS.values()}
    assert {row.kind for row in KINDS} - shown == {CallKind.OTHER}
    assert KINDS[[row.kind for row in KINDS].index(CallKind.OTHER)].pocket is Pocket.CREDIT


def test_a_paid_call_of_no_other_kind_is_other() -> None:
    """A conference leg that is neither inbound nor outbound of a meeting, for example, if there ever is one."""
    rated = ada("MCOPSTNPP").call(HARARE)
    assert kind_of(msgspec.structs.replace(rated, context=None)) is CallKind.OTHER


def test_the_rules_that_the_table_names_are_rules() -> None:
    """A rule that is renamed in the decision table is renamed here."""
    assert {rule for row in KINDS for rule in row.rules or ()} <= {row.rule for row in TABLE}


def test_every_kind_and_every_entry_has_a_name() -> None:
    """Closed lists: what is added is shown, too; of what costs money there is an entry."""
    assert (set(KIND_LABELS), set(LABELS)) == (set(CallKind), set(EntryName))
    assert set(ENTRY_OF_KIND) == set(PAID)
    assert {entry for entry in EntryName if entry.value.startswith("calls_")} == set(ENTRY_OF_KIND.values())
