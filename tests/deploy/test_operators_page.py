"""The operators' page, typed as it stands: what it says about an occasion is enough."""

import json
from datetime import UTC, datetime
from pathlib import Path

from rater.embedded.store import open_reader
from rater.wire.errors import Exit
from tests.commands import rater, typed
from tests.world import DECK, HARARE, US

USER = "ada@contoso.example"


def test_a_customer_comes_and_pays(tmp_path: Path) -> None:
    """Then its user calls: within the country on the plan's minutes, to Harare for 0.20 of the credit of 500."""
    names = {"NAME": "contoso", "USER": USER, "INVOICE": "inv-1"}
    for words in (*typed("a customer comes", **names), *typed("a customer pays", **names)):
        rater(*words, cwd=tmp_path, code=Exit.OK)
    call = {"tenant": "contoso", "type": "user_out", "user": USER, "duration_s": 60}
    call["answered_at"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    calls = [call | {"usage_id": called, "called": called} for called in (US, HARARE)]
    (tmp_path / "calls.jsonl").write_text("".join(json.dumps(call) + "\n" for call in calls))
    rater("run", "calls.jsonl", "--deck", DECK, cwd=tmp_path, code=Exit.OK)
    rated = [json.loads(value) for _, value in open_reader(tmp_path / "rater.db").topic("rated-calls")]
    assert [(call["usage_id"], call["segments"][0]["pocket"], call["charge"]) for call in rated] == [
        (US, "pool", "0"),
        (HARARE, "credit", "0.2"),
    ]
    assert json.loads(rater("show", "tenant", "contoso", "--json", cwd=tmp_path).stdout)["balance"] == "499.8"
