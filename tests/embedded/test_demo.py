"""The demo's running call, with the deck that a plain clone has."""

from pathlib import Path

from rater.core.reasons import Pocket
from rater.dev.demo import story
from rater.dev.demo.findings import find
from rater.embedded.store import open_reader


def test_the_running_call_is_ended_when_the_credit_is_gone(tmp_path: Path) -> None:
    """Rules 54, A22: ended 300 s after its start, hung up at 304 s, so 5 minutes are billed: 5 x 0.015, not 6."""
    deck, _ = story.prepare_deck(tmp_path)
    summary = story.rate(tmp_path, deck, story.write_inputs(tmp_path, deck))
    reader = open_reader(tmp_path / "rater.db")
    try:
        assert [find(reader, tenant).ended for tenant in ("contoso", "fabrikam")] == [[], []]
        month = find(reader, "tailspin")
    finally:
        reader.close()
    ((order, call),) = month.ended
    assert summary.disconnects == {"credits_suspended": 1}
    assert (order.authorized_s, call.authorized_s, call.duration_s) == (300, 300, 300 + 4)
    assert (call.minutes, call.charge, [part.pocket for part in call.segments]) == (5, "0.075", [Pocket.CREDIT])
    assert order.at == month.suspended[0]
    assert month.balance_by_hand == month.account.balance
