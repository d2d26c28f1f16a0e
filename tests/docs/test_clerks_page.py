"""Every command that the billing clerks' page shows, typed in the order of a clerk's month."""

import json
import re
from pathlib import Path

import pytest

from tests.commands import invoke
from tests.conftest import ROOT
from tests.docs.pages import shown_on
from tests.docs.stories import Typed, play, unproven
from tests.embedded.usage import HEADER, row

PAGE = "docs/billing.md"

PRICES = """\
Destination,Type,Country,Prefix,Price per minute
United Kingdom - London,,GB,4420,0.05
United States - Seattle,,US,1206,0.013
"""
USERS = "UPN,SKU,Usage country\nada@contoso.example,MCOPSTN1,US\nada@contoso.example,MCOPSTNPP,US\n"
OTHER_LICENCES = '{"command":"license_assigned","tenant":"contoso","id":"other","at":"2025-03-01T00:00:00Z","user":"ada@contoso.example","sku":"MCOPSTN2","country":"US"}'
#: Payouts as Stripe writes them, and the page's purchase is not among them.
PAYOUTS = "balance_transaction_id,created_utc,reporting_category,gross,currency,payment_metadata[id]\n"

#: In a folder with the documents of the checkout.
GOING_THERE = [Typed("cp -r docs/first-month month"), Typed("cd month")]
#: The first steps, in that folder; `ID` is the dead letter.
FIRST_STEPS = [
    Typed("rater import rates prices.csv --out deck.csv"),
    Typed("rater rates lint deck.csv", code=1),
    Typed("rater import licenses users.csv --tenant contoso --at 2025-03-01T00:00:00Z --out licences.jsonl"),
    Typed(
        "rater run calls.csv --tenant contoso --commands setup.jsonl --commands licences.jsonl --deck deck.csv"
        " --arrived 2025-04-01T00:00:00Z",
        code=3,
    ),
    Typed("rater show calls contoso"),
    Typed("rater show pools contoso"),
    Typed("rater explain 1002"),
    Typed("rater dlq ls"),
    Typed("sed -i 's/,2065550177,/,+12065550177,/' calls.csv"),
    Typed("rater run calls.csv --tenant contoso --arrived 2025-04-01T00:00:00Z"),
    Typed('rater dlq drop ID --note "number corrected"'),
    Typed("rater export usage --period 2025-03 --format xlsx --out usage.xlsx"),
    Typed("rater statement contoso --period 2025-03"),
]

#: `LONG` and `LONGER` are dead letters, `VERSION` is a deck: they are looked up when the story has come to them.
STORY = [
    Typed("rater import rates prices.csv --out old.csv", shown="rater import rates"),
    Typed("rater import rates prices.csv --with-published-toll-free --out deck.csv"),
    Typed("rater rates lint ./deck.csv", shown="rater rates lint"),
    Typed("rater import licenses users.csv --tenant contoso --at 2025-03-01T00:00:00Z --out licences.jsonl"),
    Typed("rater run nothing.jsonl --gateway pretend", shown="rater run --gateway URL"),
    Typed(
        "rater run PSTN.calls.2025-03.csv --tenant contoso --commands setup.jsonl --commands licences.jsonl --deck deck.csv"
        " --zone UTC --arrived 2025-04-01T00:00:00Z",
        code=3,
    ),  # done, and a call that lasted 13 hours is held
    Typed("rater show tenant contoso"),
    Typed("rater show balance contoso"),
    Typed("rater show pools contoso --period 2025-03"),
    Typed("rater show calls contoso --user ada@contoso.example"),
    Typed(
        "rater show calls contoso --on 2025-03-12 --charge 0.10",
        shown="rater show calls contoso --on 2025-03-12 --charge 4.02",
    ),
    Typed("rater explain abroad", shown="rater explain USAGE_ID"),
    Typed("rater export usage --format xlsx --out usage.xlsx"),
    Typed("rater export usage --period 2025-03 --format xlsx --out usage.xlsx"),
    Typed("rater export debits --period 2025-03"),
    Typed("rater dlq ls"),
    Typed("rater dlq show LONG", shown="rater dlq show ID"),
    Typed("rater dlq ls --reveal"),
    Typed("rater dlq show LONG --reveal", shown="rater dlq show ID --reveal"),
    Typed("rater dlq show LONG --raw", shown="rater dlq show ID --raw"),
    Typed("rater dlq replay LONG", code=3, shown="rater dlq replay ID"),  # refused again: nobody has accepted it
    Typed("rater dlq replay LONG --accept", shown="rater dlq replay ID --accept"),
    Typed('rater dlq drop LONGER --note "never to be billed"', shown='rater dlq drop ID --note "why"'),
    Typed(
        "rater tenant configure contoso --call-duration-max-s 86400 --at 2025-03-20T00:00:00Z",
        shown="rater tenant configure contoso --call-duration-max-s 86400",
    ),
    Typed("rater tenant add northwind --currency USD --country US --credits enabled --at 2025-03-20T00:00:00Z"),
    Typed("rater run PSTN.calls.2025-03.csv --tenant contoso", shown="rater run"),  # already rated
    Typed(
        "rater run nothing.jsonl --emergency-numbers IT:1530,CH:1414",
        shown="rater run --emergency-numbers IT:1530,CH:1414",
    ),
    Typed("rater rates compare old.csv deck.csv", shown="rater rates compare OLD NEW"),
    Typed("rater rates activate VERSION"),
    Typed("rater show calls contoso --anomalies"),
    Typed("rater show calls contoso --flag unfunded"),
    Typed("rater forecast contoso --days 60", code=1),  # a month is less than four whole weeks
    Typed("rater recommend contoso --recharges-a-month 4 --payment-delay 60", code=1),
    Typed(
        "rater quote contoso --user ada@contoso.example --called +442079460018 --minutes 10 --at 2025-03-20T00:00:00Z",
        shown="rater quote contoso --user ada@contoso.example --called +442079460018 --minutes 10",
    ),
    Typed("rater what-if --period 2025-03 --deck old.csv", shown="rater what-if --period 2025-03 --deck B.csv"),
    Typed("rater what-if --period 2025-03 --tenant contoso --instead MCOPSTN1=MCOPSTN2 --users forty.txt"),
    Typed("rater what-if --period 2025-03 --commands other-licences.jsonl --format xlsx --out difference.xlsx"),
    Typed("rater what-if --period 2025-03 --setting straddle=whole_to_credits --tenant contoso"),
    Typed("rater rerate --deck VERSION --all --from 2025-03-01T00:00:00Z --to 2025-04-01T00:00:00Z --dry-run"),
    Typed(
        "rater rerate --deck VERSION --all --from 2025-03-01T00:00:00Z --to 2025-04-01T00:00:00Z --yes",
        shown="rater rerate",
    ),
    Typed(
        "rater payments reconcile payouts.csv", code=1, shown="rater payments reconcile FILE"
    ),  # the purchase is not in it
    Typed(
        "rater tenant adjust contoso 4.16 --reason goodwill --by kim --yes --at 2025-03-20T00:00:00Z",
        shown="rater tenant adjust",
    ),
    Typed(
        "rater tenant refund contoso 2 1 --reason moved --by kim --yes --at 2025-03-20T00:00:00Z",
        shown="rater tenant refund",
    ),
    Typed(
        "rater tenant adjust contoso 0.10 --call abroad --reason goodwill --yes --at 2025-03-20T00:00:00Z",
        shown="rater tenant adjust contoso 4.16 --call USAGE_ID",
    ),
    Typed("rater explain credit-abroad", shown="rater explain credit-USAGE_ID"),
    Typed(
        "rater tenant adjust contoso -0.10 --reason withdrawn --yes --at 2025-03-20T00:00:00Z",
        shown="rater tenant adjust contoso -4.16",
    ),
    Typed("rater export funds"),
    Typed("rater statement contoso"),
    Typed("rater statement contoso --period 2025-03"),
    Typed("rater statement contoso --period 2025-03 --format html --out march.html"),
    Typed("rater statement contoso --period 2025-03 --format xlsx --out march.xlsx"),
    Typed("rater statement contoso --since 2025-03-01T00:00:00Z --until 2025-03-16T00:00:00Z"),
    Typed(
        "rater tenant close contoso --pay-out --reason left --by kim --yes --at 2025-03-20T00:00:00Z",
        shown="rater tenant close contoso --pay-out",
    ),
    Typed("rater verify --store rater.db"),
    Typed("rater erase contoso ada@contoso.example --yes", shown="rater erase contoso ada@contoso.example"),
    Typed("rater prune"),
    Typed("rater doctor --store rater.db"),
    Typed(f"rater check {ROOT}/tests/spec/scenarios", shown="rater check FOLDER"),
]

#: Limits on spending; the call abroad costs 0.10.
BRAKES = [
    Typed("rater import rates prices.csv --with-published-toll-free --out deck.csv"),
    Typed("rater import licenses users.csv --tenant contoso --at 2025-03-01T00:00:00Z --out licences.jsonl"),
    Typed("rater run nothing.jsonl --commands setup.jsonl --commands licences.jsonl --deck deck.csv"),
    Typed(
        "rater tenant brake contoso stolen --scope user --window day --limit 0.10 --at 2025-03-01T00:00:00Z",
        shown="rater tenant brake contoso stolen --scope user --window day --limit 100",
    ),
    Typed(
        "rater tenant brake contoso stolen --scope user --window day --limit 0.10 --mode stop --at 2025-03-01T00:00:00Z",
        shown="rater tenant brake contoso stolen --scope user --window day --limit 100 --mode stop",
    ),
    Typed(
        "rater tenant brake contoso lines --scope user --measure calls_at_once --limit 10 --mode stop"
        " --at 2025-03-01T00:00:00Z",
        shown="rater tenant brake contoso lines --scope user --measure calls_at_once --limit 10 --mode stop",
    ),
    Typed(
        "rater tenant brake contoso abroad --scope user --measure new_countries --limit 10 --at 2025-03-01T00:00:00Z",
        shown="rater tenant brake contoso abroad --scope user --measure new_countries --limit 10",
    ),
    Typed(
        "rater tenant release-brake contoso abroad --subject ada@contoso.example --country FR --by kim"
        " --at 2025-03-01T00:00:00Z",
        shown="rater tenant release-brake contoso abroad --subject ada@contoso.example --country FR --by kim",
    ),
    Typed(
        "rater tenant alerts contoso 500 200 50 --at 2025-03-01T00:00:00Z",
        shown="rater tenant alerts contoso 500 200 50",
    ),
    Typed("rater run PSTN.calls.2025-03.csv --tenant contoso", code=3),
    Typed("rater show brakes contoso"),
    Typed(
        "rater tenant release-brake contoso stolen --subject ada@contoso.example --by kim --at 2025-03-12T12:00:00Z",
        shown="rater tenant release-brake contoso stolen --subject ada@contoso.example --by kim",
    ),
]


def letter(usage_id: str) -> str:
    """The id of the dead letter of a call that waits."""
    found = json.loads(invoke("dlq", "ls", "--json").stdout)
    return {letter["raw"].partition(",")[0]: str(letter["id"]) for letter in found}[usage_id]


def deck() -> str:
    """The version of the deck that priced a call."""
    found = re.search(r"of deck (\w+)", invoke("explain", "abroad").stdout)
    assert found is not None
    return found[1]


@pytest.fixture
def month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a clerk begins with, in the folder in which the commands are typed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prices.csv").write_text(PRICES)
    (tmp_path / "users.csv").write_text(USERS)
    (tmp_path / "payouts.csv").write_text(PAYOUTS)
    (tmp_path / "nothing.jsonl").write_text("")
    (tmp_path / "forty.txt").write_text("ada@contoso.example\n")
    (tmp_path / "other-licences.jsonl").write_text(OTHER_LICENCES)
    setup = re.findall(r'(?m)^    (\{"command".*\})$', (ROOT / PAGE).read_text("utf-8"))
    assert len(setup) == 2
    (tmp_path / "setup.jsonl").write_text("\n".join(setup) + "\n")
    hours_13 = 13 * 3600
    calls = [
        row("home"),
        row("abroad", number="+442079460018", seconds=61, start="2025-03-12T10:00:00Z", end="2025-03-12T10:01:01Z"),
        row("long", seconds=hours_13, start="2025-03-13T00:00:00Z", end="2025-03-13T13:00:00Z"),
        row("longer", seconds=hours_13, start="2025-03-14T00:00:00Z", end="2025-03-14T13:00:00Z"),
    ]
    (tmp_path / "PSTN.calls.2025-03.csv").write_text("\n".join([HEADER, *calls]) + "\n")
    return tmp_path


def test_every_command_of_the_page_is_in_the_story() -> None:
    """A command that is added to the page is added here, too."""
    ours = [shown for shown in shown_on(PAGE) if shown.command.startswith("rater ")]
    assert unproven(ours, FIRST_STEPS + STORY + BRAKES, lambda _: False) == []


def test_the_first_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small month, with the files of the page; a record is corrected and counts once."""
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    play(GOING_THERE, tmp_path)
    month = tmp_path / "month"
    monkeypatch.chdir(month)
    play(FIRST_STEPS, month, {"ID": lambda: letter("1005")}, RATER_OPERATOR="kim")
    # 100 bought - 34 x 0.05 to London - 5 x 0.30 to Jamaica
    assert json.loads(invoke("show", "balance", "contoso", "--json").stdout)["balance"] == "96.8"
    # 11 minutes of call 1001, 1 of call 1005
    assert json.loads(invoke("show", "pools", "contoso", "--json").stdout)[0]["used"] == 12


def test_a_clerks_month(month: Path) -> None:
    """Files in, what they cost, held and refused calls, goodwill, the account added up, the customer gone."""
    names = {"LONG": lambda: letter("long"), "LONGER": lambda: letter("longer"), "VERSION": deck}
    play(STORY, month, names, RATER_OPERATOR="kim")
    # 100 bought - 0.10 (2 minutes abroad at 0.05; 2 + 780 of 3,000 minutes are the plan's) + 4.16 - 1 = 103.06
    assert "103.06" in invoke("statement", "contoso").output
    assert json.loads(invoke("show", "balance", "contoso", "--json").stdout)["balance"] == "0"


def test_limits_on_spending(month: Path) -> None:
    """A limit is reached by the call abroad, and released by a person; the brake on calls at once counts nothing."""
    play(BRAKES, month, {}, RATER_OPERATOR="kim")
    stolen = {"brake": "stolen", "mode": "stop", "scope": "user", "about": "ada@contoso.example", "limit": "0.1"}
    counted = {"window": "day 2025-03-12T00:00Z", "spent": "0.1", "over_calls": 0, "over_money": "0", "known": None}
    abroad, learned, lines, found = json.loads(invoke("show", "brakes", "contoso", "--json").stdout)
    assert (abroad["about"], abroad["spent"], abroad["mode"]) == ("ada@contoso.example, new: GB", "0.1", "shadow")
    assert (learned["about"], learned["known"]) == ("ada@contoso.example", "FR")
    assert (lines["brake"], lines["limit"], lines["spent"]) == ("lines", 10, None)
    assert found.pop("reached_at").startswith("2025-03-")
    assert found == stolen | counted | {"released": True}
    assert "Brake stolen counted it: calls of ada@contoso.example" in invoke("explain", "abroad").stdout
