"""`rater what-if`: a month replayed with a substitute is the month as it would really have been rated with it."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.core.inputs import (
    AnyCommand,
    DeckActivated,
    FundsAdded,
    FundsRefunded,
    LicenseAssigned,
    LicenseRemoved,
    RateDeck,
)
from rater.core.money import parse_ledger
from rater.core.outputs import Debit
from rater.core.reasons import Outcome
from rater.core.settings import RatingSettings
from rater.dev.generate import Spec, generate_calls, generate_commands
from rater.embedded.rerate import planned
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store, open_reader
from rater.embedded.what_if import compare
from rater.engine.comparison import Comparison
from rater.engine.difference import History, lines_of
from rater.engine.gateway import LocalGateway
from rater.engine.rerating import Order
from rater.engine.substitutes import Substitutes
from rater.files.deck_csv import read_deck, write_deck
from rater.files.source import InputFile
from rater.files.what_if import facts_of
from rater.wire.codec import encode_input
from rater.wire.errors import Exit
from tests.commands import rater
from tests.embedded.usage import SETUP
from tests.world import DECK, at

MARCH = "2025-03"
SPEC = Spec(
    seed=5,
    tenants=2,
    users=8,
    calls=300,
    funds="60",
    recharge_amount="10",
    duplicate_share=0.1,
    correction_share=0.1,
    late_share=0.05,
)
BEGINS = at("2025-03-01")


def deck(times: int = 1) -> RateDeck:
    """The list of the fixtures, or one with each price so many times as high."""
    read = read_deck(DECK, version=f"times-{times}")
    rows = [
        msgspec.structs.replace(
            row, price_per_minute=f"{int(float(row.price_per_minute) * 10_000) * times / 10_000:g}"
        )
        for row in read.rows
    ]
    return msgspec.structs.replace(read, rows=tuple(rows)) if times > 1 else read


def rated(
    folder: Path,
    spec: Spec = SPEC,
    lists: Sequence[RateDeck] = (),
    rules: RatingSettings | None = None,
    commands: Iterable[AnyCommand] = (),
    declined: tuple[str, ...] = (),
) -> Path:
    """A store with a generated month in it, rated with the first list, and `commands` before its first call."""
    path, lists = folder / "rater.db", lists or [deck()]
    lines = {"commands": [*generate_commands(spec), *commands], "cdrs": generate_calls(spec)}
    for name, values in lines.items():
        encoded = [value if isinstance(value, bytes) else encode_input(value) for value in values]
        (folder / f"{name}.jsonl").write_bytes(b"\n".join(encoded) + b"\n")
    with closing(Store(path)) as store:
        rater = EmbeddedRater(store, rules or RatingSettings(), LocalGateway(declined))
        for each in lists:
            rater.publish(each)
        rater.consume(InputFile(str(folder / "commands.jsonl"), "commands"))
        rater.activate(lists[0].version)
        rater.consume(InputFile(str(folder / "cdrs.jsonl")))
        rater.tick(at("2025-04-05"))
    return path


def sums(history: History) -> dict[Any, Any]:
    """What is counted, without lines of nothing."""
    lines = {place: msgspec.structs.asdict(line) for place, line in history.lines().items()}
    return {place: line for place, line in lines.items() if any(line.values())}


def replayed(path: Path, **substitutes: Any) -> Comparison:
    return compare(path, Substitutes(period=MARCH, **substitutes))


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A month of two tenants with recharges, corrections, duplicates and late calls."""
    return rated(tmp_path_factory.mktemp("month"))


def other_licences(spec: Spec = SPEC) -> list[AnyCommand]:
    """From 1 March on everybody who has MCOPSTN1 has MCOPSTN5 instead, with 120 minutes."""
    commands: list[AnyCommand] = []
    for one in generate_commands(spec):
        if isinstance(one, LicenseAssigned) and one.sku == "MCOPSTN1":
            who: dict[str, Any] = {"tenant": one.tenant, "user": one.user, "at": BEGINS, "country": one.country}
            commands.append(LicenseRemoved(id=f"no-{one.id}", sku="MCOPSTN1", **who))
            commands.append(LicenseAssigned(id=f"new-{one.id}", sku="MCOPSTN5", **who))
    return commands


@settings(max_examples=12)
@given(
    st.integers(1, 10_000),
    st.sampled_from(["20", "60", "500"]),
    st.booleans(),
    st.sampled_from([(), ("tenant-0000",)]),
)
def test_without_a_substitute_nothing_is_different(
    seed: int, funds: str, recharge: bool, declined: tuple[str, ...]
) -> None:
    """To the micro-unit, in every line: months with recharges, failed payments, corrections, late and repeated calls."""
    with TemporaryDirectory() as folder:
        spec = msgspec.structs.replace(SPEC, seed=seed, calls=120, funds=funds, recharge=recharge)
        found = replayed(rated(Path(folder), spec, declined=declined))
    assert sums(found.was) == sums(found.would_be)
    assert (found.refused, found.assumed_paid, found.assumed_declined, found.left_out) == ([], 0, 0, 0)
    assert sum(line.was.calls for line in lines_of(found.was, found.would_be) if line.by == "tenant") > 80


def test_what_was_is_what_was_debited(month: Path) -> None:
    """The sums by destination and by user are those of the debits of calls of the month, per tenant."""
    found, debited = replayed(month), {"tenant-0000": 0, "tenant-0001": 0}
    with closing(open_reader(month)) as reader:
        for _, value in reader.topic("debits"):
            debit = msgspec.json.decode(value, type=Debit)
            if debit.period == MARCH:
                debited[debit.tenant] += parse_ledger(debit.amount)
    for group in ("tenant", "plan", "destination", "user"):
        lines = [line for line in lines_of(found.was, found.would_be) if line.by == group]
        assert {
            name: sum(line.was.debits for line in lines if line.tenant == name) for name in debited
        } == debited, group
    assert all(amount > 0 for amount in debited.values())


def test_another_price_list_is_the_month_rated_with_it(month: Path, tmp_path: Path) -> None:
    """Twenty times the price: other debits, other recharges, and the same as a store that was rated with it."""
    really = rated(tmp_path, lists=[deck(20)])
    found = replayed(month, deck=deck(20))
    assert sums(found.would_be) == sums(replayed(really).was)
    total = [line for line in lines_of(found.was, found.would_be) if line.by == "tenant"]
    assert all(line.would_be.debits == 20 * line.was.debits > 0 for line in total)
    assert (
        found.assumed_paid
        == sum(line.would_be.recharges for line in total)
        > sum(line.was.recharges for line in total)
    )


@pytest.mark.parametrize("funds", ["50.5", "52"])
def test_a_declined_card_stays_declined(tmp_path: Path, funds: str) -> None:
    """Another list asks for other payments, again and again: answered as the next one really was, else as the last."""
    folders = [tmp_path / "was", tmp_path / "really"]
    for folder in folders:
        folder.mkdir()
    spec = msgspec.structs.replace(SPEC, funds=funds)
    was = rated(folders[0], spec, declined=("tenant-0000",))
    really = rated(folders[1], spec, declined=("tenant-0000",), lists=[deck(20)])
    found = replayed(was, deck=deck(20))
    assert sums(found.would_be) == sums(replayed(really).was)
    assert found.assumed_declined > 0
    assert found.assumed_paid > 0  # those of the other tenant


def test_other_licences_are_the_month_rated_with_them(month: Path, tmp_path: Path) -> None:
    """MCOPSTN5 instead of MCOPSTN1: fewer minutes of pools, more that money pays."""
    commands = other_licences()
    really = rated(tmp_path, commands=commands)
    found = replayed(month, commands=tuple(commands))
    assert found.refused == []
    assert sums(found.would_be) == sums(replayed(really).was)
    assert sums(found.would_be) != sums(found.was)
    plans = {line.name.partition("/")[0]: line for line in lines_of(found.was, found.would_be) if line.by == "plan"}
    assert (plans["MCOPSTN1"].was.minutes > 0, plans["MCOPSTN1"].would_be.minutes) == (True, 0)


EIGHT = "MCOPSTN8"


@pytest.mark.parametrize("named", [True, False])
def test_another_licence_instead_is_the_month_in_which_it_was_held(tmp_path: Path, named: bool) -> None:
    """A tenant with MCOPSTN6, by a file of users and for all, as if it had MCOPSTN8: also who got it on 10 March.

    One who is named and did not hold it is reported; nobody else's licences change.
    """
    spec, folders = (
        msgspec.structs.replace(SPEC, tenants=1, seed=9, users=6),
        [tmp_path / "was", tmp_path / "really"],
    )
    tenant, users = "tenant-0000", [f"user{number:06d}@tenant-0000.example" for number in range(3)]
    paths = []
    for folder, code in zip(folders, ("MCOPSTN6", EIGHT), strict=True):
        folder.mkdir()
        first: dict[str, Any] = {"tenant": tenant, "at": at("2025-02-01"), "sku": code, "country": "US"}
        commands: list[AnyCommand] = [
            *[LicenseAssigned(id=f"first-{user}", user=user, since_ever=True, **first) for user in users[:2]],
            LicenseAssigned(id="later", user=users[2], **first | {"at": at("2025-03-10")}),
            LicenseRemoved(tenant=tenant, id="ends", at=at("2025-03-20"), user=users[1], sku=code),
        ]
        paths.append(rated(folder, spec, commands=commands))
    (folders[0] / "users.txt").write_text("\n".join([*users, "nobody@tenant-0000.example"]) + "\n")
    words = ["--tenant", tenant, "--instead", f"MCOPSTN_6={EIGHT}", "--format", "json"]
    words += ["--users", "users.txt"] if named else []
    out, said = what_if(folders[0], *words, code=Exit.REFUSED if named else 0)
    would_be = {(line["by"], line["name"]): line["would_be"] for line in json.loads(out)["lines"]}
    really = {(one.by, one.name): facts_of(one)["was"] for one in lines_of(*[replayed(paths[1]).was] * 2)}
    assert {place: line for place, line in would_be.items() if line["calls"]} == {
        place: line for place, line in really.items() if line["calls"]
    }
    assert any(name.startswith(EIGHT) for _, name in really)
    assert ("nobody@tenant-0000.example: refused: the user did not hold MCOPSTN6 in 2025-03" in said) is named


def test_another_setting_is_the_month_rated_with_it(tmp_path: Path) -> None:
    """A3: a call that crosses its pool's end goes whole to credits; every user has 120 minutes only."""
    spec, folders = msgspec.structs.replace(SPEC, seed=9, users=6), [tmp_path / "was", tmp_path / "really"]
    for folder in folders:
        folder.mkdir()
    commands, rules = other_licences(spec), RatingSettings(straddle="whole_to_credits")
    was = rated(folders[0], spec, commands=commands)
    really = rated(folders[1], spec, commands=commands, rules=rules)
    found = replayed(was, settings={"straddle": "whole_to_credits"})
    assert sums(found.would_be) == sums(replayed(really).was)
    assert sums(found.would_be) != sums(found.was)


def test_other_tenants_do_not_matter(month: Path) -> None:
    """One tenant replayed alone is its part of the whole."""
    whole, alone = replayed(month, deck=deck(20)), replayed(month, deck=deck(20), tenant="tenant-0001")
    for all_of, one in ((whole.was, alone.was), (whole.would_be, alone.would_be)):
        assert {place: line for place, line in sums(all_of).items() if place[1] == "tenant-0001"} == sums(one)


def test_lists_of_the_month_and_calls_rated_again_are_replaced(tmp_path: Path) -> None:
    """A tenant has a list of its own from 10 March on, and from 20 March another, which came late; A12: calls were
    rated again with it.  With one list from the month's beginning nothing of that counts."""
    folders = [tmp_path / "was", tmp_path / "really"]
    for folder in folders:
        folder.mkdir()
    own = [
        DeckActivated(
            tenant="tenant-0000",
            id=f"own-{day}",
            at=BEGINS,
            version=deck(3).version,
            effective_from=at(f"2025-03-{day}"),
        )
        for day in (10, 20)
    ]
    was = rated(folders[0], commands=own[:1], lists=(deck(), deck(3), deck(5)))
    with closing(Store(was)) as store:
        rater = EmbeddedRater(store, RatingSettings(), LocalGateway())
        rater.apply(own[1])
        order = Order(deck(5).version, "tenant-0000", at("2025-03-01"), at("2025-03-15"), None)
        commands = planned(store, RatingSettings(), order, None).commands
        outcomes, _ = rater.apply_all(commands, at("2025-05-01"))
    assert outcomes[Outcome.CORRECTED] > 3
    assert sums(replayed(was).would_be) == sums(replayed(was).was)
    found = replayed(was, deck=deck(20))
    assert money(found.would_be) == money(replayed(rated(folders[1], lists=(deck(20),))).was)


def money(history: History) -> dict[Any, Any]:
    """Debits and minutes by line; recharges of calls that were rated again in April came then."""
    return {place: (line["debits"], line["minutes"], line["calls"]) for place, line in sums(history).items()}


@pytest.fixture
def folder(month: Path) -> Path:
    """Where the month's store is, and a list with twenty times the prices."""
    write_deck(deck(20), month.parent / "dear.csv")
    return month.parent


def what_if(folder: Path, *words: str, code: int = 0) -> tuple[str, str]:
    done = rater("what-if", "--period", MARCH, *words, cwd=folder, code=code)
    return done.stdout, done.stderr


def test_the_command_says_what_would_be_different_and_changes_nothing(folder: Path) -> None:
    """Tables for people, the largest differences first; the store is what it was, byte for byte."""
    before = (folder / "rater.db").read_bytes()
    out, said = what_if(folder)
    assert out.count("\n") == 1
    assert "difference 0" in out
    assert said.endswith("records replayed; nothing was changed\n")
    out, said = what_if(folder, "--deck", "dear.csv", "--lines", "3")
    for title in ("tenant", "plan", "destination", "user"):
        assert f" {title} " in out
    assert "more; --lines" in out
    assert "recharges were not asked for in reality; answered as the tenant's next payment was:" in said
    assert said.splitlines()[-2].endswith(" paid, 0 declined")
    assert (folder / "rater.db").read_bytes() == before


def setup(folder: Path) -> None:
    """A store in which Ada of contoso, who holds MCOPSTN5, calls Seattle for a minute on 10 March."""
    (folder / "setup.jsonl").write_text(SETUP)
    (folder / "calls.jsonl").write_text(
        '{"tenant":"contoso","usage_id":"a","type":"user_out","user":"ada@contoso.example","called":"+12065550177",'
        '"answered_at":"2025-03-10T10:00:00Z","duration_s":60}\n'
    )
    rater("run", "calls.jsonl", "--commands", "setup.jsonl", "--deck", str(DECK), cwd=folder)


def test_calls_that_cost_nothing_are_counted(tmp_path: Path) -> None:
    """A minute to Seattle, which the plan pays: the tenant has a line, and a currency."""
    setup(tmp_path)
    assert what_if(tmp_path)[0] == "1 call: 0 -> 0 USD, difference 0\n"
    lines = json.loads(what_if(tmp_path, "--format", "json")[0])["lines"]
    assert {line["currency"] for line in lines} == {"USD"}


def test_the_same_figures_as_json_csv_and_excel(folder: Path, tmp_path: Path) -> None:
    """Every line, also those that stay as they were."""
    words = ("--deck", "dear.csv", "--format")
    facts = json.loads(what_if(folder, *words, "json")[0])
    rows = list(csv.DictReader(io.StringIO(what_if(folder, *words, "csv")[0])))
    what_if(folder, *words, "xlsx", "--out", str(tmp_path / "difference.xlsx"))
    sheet = openpyxl.load_workbook(tmp_path / "difference.xlsx").active
    assert [row["debits_difference"] for row in rows] == [line["debits_difference"] for line in facts["lines"]]
    assert [row["debits_would_be"] for row in rows] == [line["would_be"]["debits"] for line in facts["lines"]]
    assert sheet is not None
    assert [float(str(row[-1])) for row in sheet.iter_rows(min_row=2, values_only=True)] == [
        float(row["debits_difference"]) for row in rows
    ]
    assert sum(row["by"] == "user" for row in rows) > 5


def test_a_command_with_the_id_of_a_real_one_replaces_it_and_a_refused_one_is_reported(tmp_path: Path) -> None:
    """100 instead of 5 bought on 3 March: no suspension.  A refund of more than there is changes nothing: exit 3."""
    bought: dict[str, Any] = {"tenant": "tenant-0000", "id": "more", "at": at("2025-03-03")}
    spec = msgspec.structs.replace(SPEC, tenants=1, users=4, recharge=False, funds="1")
    path = rated(tmp_path, spec, commands=[FundsAdded(amount="5", **bought)])
    other: list[AnyCommand] = [
        FundsAdded(amount="100", **bought),
        FundsRefunded(lot="more", amount="500", **bought | {"id": "back"}),
    ]
    (tmp_path / "other.jsonl").write_bytes(b"\n".join(map(encode_input, other)) + b"\n")
    out, said = what_if(tmp_path, "--commands", "other.jsonl", "--format", "json", code=Exit.REFUSED)
    (total,) = [line for line in json.loads(out)["lines"] if line["by"] == "tenant"]
    assert (total["was"]["suspensions"], total["would_be"]["suspensions"]) == (1, 0)
    assert total["was"]["debits"] == total["would_be"]["debits"]
    assert "rater: other.jsonl:2: id back: refused:" in said
    assert path.exists()


def test_a_command_on_licences_that_changes_nothing_or_makes_a_user_has_a_warning(tmp_path: Path) -> None:
    """Each by its row: a name that nobody has, a licence that is not held or already held; who gets one, has none."""
    setup(tmp_path)
    user, typo = "ada@contoso.example", "adda@contoso.example"
    who: dict[str, Any] = {"tenant": "contoso", "at": at("2025-03-02")}
    other: list[AnyCommand] = [
        LicenseAssigned(id="1", user=typo, sku="MCOPSTN2", **who),
        LicenseRemoved(id="2", user="bob@contoso.example", sku="MCOPSTN5", **who),
        LicenseRemoved(id="3", user=user, sku="MCOPSTN1", **who),
        LicenseAssigned(id="4", user=user, sku="MCOPSTN5", **who),
        LicenseRemoved(id="5", user=user, sku="MCOPSTN5", **who),
        LicenseAssigned(id="6", user=user, sku="MCOPSTN2", **who),
    ]
    (tmp_path / "other.jsonl").write_bytes(b"\n".join(map(encode_input, other)) + b"\n")
    out, said = what_if(tmp_path, "--commands", "other.jsonl", "--format", "json")
    assert [line for line in said.splitlines() if "warning" in line] == [
        "rater: other.jsonl:1: id 1: warning: a***@contoso.example is a new user, whom no earlier command named;"
        " check the spelling",
        "rater: other.jsonl:2: id 2: warning: it changed nothing: no earlier command named a user b***@contoso.example;"
        " check the spelling",
        "rater: other.jsonl:3: id 3: warning: it changed nothing: a***@contoso.example did not hold MCOPSTN1 then",
        "rater: other.jsonl:4: id 4: warning: it changed nothing: a***@contoso.example held MCOPSTN5 then",
    ]
    assert [one["id"] for one in json.loads(out)["remarks"]] == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--setting", "straddle=half"], "straddle: expected one of split, whole_to_credits, got 'half'"),
        (["--setting", "dial_out_basis=x"], "expected one of assigned, by_date, purchased, got 'x'"),
        (["--setting", "linked_caps=perhaps"], "--setting linked_caps: expected true or false, got 'perhaps'"),
        (["--setting", "grace_hours=-1"], "--setting grace_hours: expected a number of at least 0, got '-1'"),
        (["--setting", "call_duration_max_s=5"], "decides which records are accepted, not what a call costs"),
        (["--setting", "straddle"], "--setting: expected NAME=VALUE with one of linked_caps, "),
        (["--deck", "none"], "--deck: expected a CSV file or the version of a deck in rater.db, got 'none'"),
        (["--tenant", "tenant-000"], "tenant-000: no such tenant in rater.db; did you mean tenant-000"),
        (["--commands", "late.jsonl"], "tenant-0000, id late: expected a time within 2025-03, got 2025-04-01"),
        (["--commands", "broken.jsonl"], "broken.jsonl:1: amount: "),
        (
            ["--deck", "dear.csv", "--currency", "EUR"],
            "--deck: expected a price list in USD for the tenants of the month, got EUR: it is in force for no call",
        ),
        (
            ["--commands", "late.jsonl", "--tenant", "tenant-0001"],
            "id late: expected commands of tenant-0001, because",
        ),
        (["--commands", "empty.jsonl"], "empty.jsonl: expected commands, a line each; it has none"),
        (["--instead", "MCOPSTN1=MCOPSTN2"], "--instead: expected --tenant, whose users they are"),
        (["--instead", "MCOPSTN1"], "--instead: expected OLD=NEW such as MCOPSTN1=MCOPSTN2, got 'MCOPSTN1'"),
        (["--instead", "MCOPSTN1=MCOPSTM2"], "got 'MCOPSTM2'; did you mean MCOPSTN2?"),
        (["--instead", "MCOPSTN1=MCOPSTN_1"], "--instead: expected two licences"),
        (
            ["--instead", "MCOPSTN9=MCOPSTN2", "--tenant", "tenant-0001"],
            "--instead: expected a licence that a user of tenant-0001 held in 2025-03, got MCOPSTN9, which none did",
        ),
        (["--users", "empty.jsonl"], "--users: expected --instead, which says what they hold"),
        (
            ["--instead", "MCOPSTN1=MCOPSTN2", "--users", "empty.jsonl", "--tenant", "tenant-0001"],
            "empty.jsonl: expected names, one a line; it has none",
        ),
        (["--out", "x.txt"], "--out: text goes to standard output"),
    ],
)
def test_what_is_wrong_is_one_line(folder: Path, words: list[str], said: str) -> None:
    """What, where, and what was expected; nothing is replayed."""
    late = FundsAdded(tenant="tenant-0000", id="late", at=at("2025-04-01"), amount="5")
    (folder / "late.jsonl").write_bytes(encode_input(late) + b"\n")
    (folder / "broken.jsonl").write_bytes(encode_input(late).replace(b'"5"', b"5") + b"\n")
    (folder / "empty.jsonl").write_bytes(b"\n")
    done = rater("what-if", "--period", MARCH, *words, cwd=folder)
    assert done.returncode in (Exit.FAILED, Exit.USAGE)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_month_that_is_not_kept_is_reported(folder: Path) -> None:
    """A month without calls, and a store of an older release, which kept no inputs of it."""
    done = rater("what-if", "--period", "2025-06", cwd=folder, code=Exit.USAGE)
    assert "expected a month with calls, got none in 2025-06" in done.stderr
