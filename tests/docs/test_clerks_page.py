"""Every command that the billing clerks' page shows, typed in the order of a clerk's month."""

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.commands import invoke, shown_in
from tests.conftest import ROOT
from tests.embedded.usage import HEADER, row

PAGE = ROOT / "docs" / "billing.md"

PRICES = """\
Destination,Type,Country,Prefix,Price per minute
United Kingdom - London,,GB,4420,0.05
United States - Seattle,,US,1206,0.013
"""
USERS = "UPN,SKU,Usage country\nada@contoso.example,MCOPSTN1,US\nada@contoso.example,MCOPSTNPP,US\n"
#: Payouts as Stripe writes them, and the page's purchase is not among them.
PAYOUTS = "balance_transaction_id,created_utc,reporting_category,gross,currency,payment_metadata[id]\n"

#: What the page shows · what is typed · the exit code.  `LONG` and `LONGER` are dead letters, `VERSION` is a deck: they
#: are looked up when the story has come to them.
STORY = [
    ("rater import rates", "rater import rates prices.csv --out old.csv", 0),
    (
        "rater import rates prices.csv --with-published-toll-free --out deck.csv",
        "rater import rates prices.csv --with-published-toll-free --out deck.csv",
        0,
    ),
    ("rater rates lint deck.csv", "rater rates lint deck.csv", 0),
    ("rater rates lint", "rater rates lint old.csv", 0),
    (
        "rater import licenses users.csv --tenant contoso --at 2025-03-01T00:00:00Z --out licences.jsonl",
        "rater import licenses users.csv --tenant contoso --at 2025-03-01T00:00:00Z --out licences.jsonl",
        0,
    ),
    ("rater run --gateway URL", "rater run nothing.jsonl --gateway pretend", 0),
    (
        "rater run PSTN.calls.2025-03.csv --tenant contoso --commands setup.jsonl --commands licences.jsonl --deck deck.csv",
        "rater run PSTN.calls.2025-03.csv --tenant contoso --commands setup.jsonl --commands licences.jsonl --deck deck.csv",
        3,  # done, and a call that lasted 13 hours is held
    ),
    ("rater show tenant contoso", "rater show tenant contoso", 0),
    ("rater show balance contoso", "rater show balance contoso", 0),
    ("rater show pools contoso", "rater show pools contoso", 0),
    ("rater show pools contoso --period 2025-03", "rater show pools contoso --period 2025-03", 0),
    (
        "rater show calls contoso --user ada@contoso.example",
        "rater show calls contoso --user ada@contoso.example",
        0,
    ),
    (
        "rater show calls contoso --on 2025-03-12 --charge 4.02",
        "rater show calls contoso --on 2025-03-12 --charge 0.10",
        0,
    ),
    ("rater explain USAGE_ID", "rater explain abroad", 0),
    ("rater export usage --format xlsx --out usage.xlsx", "rater export usage --format xlsx --out usage.xlsx", 0),
    (
        "rater export usage --period 2025-03 --format xlsx --out usage.xlsx",
        "rater export usage --period 2025-03 --format xlsx --out march.xlsx",
        0,
    ),
    ("rater export debits --period 2025-03", "rater export debits --period 2025-03", 0),
    ("rater dlq ls", "rater dlq ls", 0),
    ("rater dlq show ID", "rater dlq show LONG", 0),
    ("rater dlq ls --reveal", "rater dlq ls --reveal", 0),
    ("rater dlq show ID --reveal", "rater dlq show LONG --reveal", 0),
    ("rater dlq show ID --raw", "rater dlq show LONG --raw", 0),
    ("rater dlq replay ID", "rater dlq replay LONG", 3),  # refused again: nobody has accepted it
    ("rater dlq replay ID --accept", "rater dlq replay LONG --accept", 0),
    ('rater dlq drop ID --note "why"', 'rater dlq drop LONGER --note "never to be billed"', 0),
    (
        "rater tenant configure contoso --call-duration-max-s 86400",
        "rater tenant configure contoso --call-duration-max-s 86400 --at 2025-03-20T00:00:00Z",
        0,
    ),
    ("rater run", "rater run PSTN.calls.2025-03.csv --tenant contoso", 0),  # already rated
    (
        "rater run --emergency-numbers IT:1530,CH:1414",
        "rater run nothing.jsonl --emergency-numbers IT:1530,CH:1414",
        0,
    ),
    ("rater rates compare OLD NEW", "rater rates compare old.csv deck.csv", 0),
    ("rater rates activate VERSION", "rater rates activate VERSION", 0),
    ("rater show calls contoso --anomalies", "rater show calls contoso --anomalies", 0),
    (
        "rater rerate --deck VERSION --all --from 2025-03-01T00:00:00Z --to 2025-04-01T00:00:00Z --dry-run",
        "rater rerate --deck VERSION --all --from 2025-03-01T00:00:00Z --to 2025-04-01T00:00:00Z --dry-run",
        0,
    ),
    (
        "rater rerate",
        "rater rerate --deck VERSION --all --from 2025-03-01T00:00:00Z --to 2025-04-01T00:00:00Z --yes",
        0,
    ),
    ("rater payments reconcile FILE", "rater payments reconcile payouts.csv", 1),  # the purchase is not in it
    (
        "rater tenant adjust",
        "rater tenant adjust contoso 4.16 --reason goodwill --by kim --yes --at 2025-03-20T00:00:00Z",
        0,
    ),
    (
        "rater tenant refund",
        "rater tenant refund contoso 2 1 --reason moved --by kim --yes --at 2025-03-20T00:00:00Z",
        0,
    ),
    (
        "rater tenant adjust contoso 4.16 --call USAGE_ID",
        "rater tenant adjust contoso 0.10 --call abroad --reason goodwill --yes --at 2025-03-20T00:00:00Z",
        0,
    ),
    (
        "rater tenant adjust contoso -4.16",
        "rater tenant adjust contoso -0.10 --reason withdrawn --yes --at 2025-03-20T00:00:00Z",
        0,
    ),
    ("rater export funds", "rater export funds", 0),
    ("rater show statement contoso", "rater show statement contoso", 0),
    (
        "rater show statement contoso --since 2025-03-01T00:00:00Z",
        "rater show statement contoso --since 2025-03-01T00:00:00Z",
        0,
    ),
    (
        "rater tenant close contoso --pay-out",
        "rater tenant close contoso --pay-out --reason left --by kim --yes --at 2025-03-20T00:00:00Z",
        0,
    ),
    ("rater verify --store rater.db", "rater verify --store rater.db", 0),
    ("rater erase contoso ada@contoso.example", "rater erase contoso ada@contoso.example --yes", 0),
    ("rater prune", "rater prune", 0),
    ("rater doctor --store rater.db", "rater doctor --store rater.db", 0),
    ("rater check FOLDER", f"rater check {ROOT}/tests/spec/scenarios", 0),
]


def commands() -> list[str]:
    """What the page shows, once each; a command may stand in two lines of it."""
    return list(dict.fromkeys(" ".join(line.split()) for line in shown_in(PAGE)))


def letters() -> dict[str, str]:
    """Ids of the dead letters that wait, by the usage id of their call."""
    return {
        letter["raw"].partition(",")[0]: letter["id"] for letter in json.loads(invoke("dlq", "ls", "--json").stdout)
    }


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
    setup = re.findall(r'(?m)^    (\{"command".*\})$', PAGE.read_text("utf-8"))
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
    assert sorted(commands()) == sorted(shown for shown, _, _ in STORY)


def test_a_clerks_month(month: Path) -> None:
    """Files in, what they cost, held and refused calls, goodwill, the account added up, the customer gone."""
    for shown, typed, code in STORY:
        words = shlex.split(typed)[1:]
        if {"LONG", "LONGER"} & set(words):
            ids = letters()
            words = [ids[word.lower()] if word in ("LONG", "LONGER") else word for word in words]
        if "VERSION" in words:
            words = [deck() if word == "VERSION" else word for word in words]
        done = invoke(*words, RATER_OPERATOR="kim")
        assert done.exit_code == code, f"{shown}: {done.output}"
    # 100 bought - 0.10 (2 minutes abroad at 0.05; 2 + 780 of 3,000 minutes are the plan's) + 4.16 - 1 = 103.06
    assert "103.06" in invoke("show", "statement", "contoso").output
    assert json.loads(invoke("show", "balance", "contoso", "--json").stdout)["balance"] == "0"
