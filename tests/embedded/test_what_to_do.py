"""What is printed after a run or a replay says what to type next."""

import json
from pathlib import Path

import pytest

from rater.wire.errors import Exit
from tests.commands import rater
from tests.embedded.usage import HEADER, SETUP, row
from tests.world import DECK

NOTE = 'rater dlq drop {id} --note "why"'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A call without a price list, a row that is wrong, and a call of 13 hours."""
    (tmp_path / "setup.jsonl").write_text(SETUP)
    calls = [
        row("abroad", number="+442079460018"),
        row("wrong", seconds="61 s"),
        row("long", seconds=46_800, start="2025-03-13T00:00:00Z", end="2025-03-13T13:00:00Z"),
    ]
    (tmp_path / "usage.csv").write_text("\n".join([HEADER, *calls]) + "\n")
    return tmp_path


def run(folder: Path, code: int) -> list[str]:
    words = ("run", "usage.csv", "--commands", "setup.jsonl", "--tenant", "contoso")
    return rater(*words, cwd=folder, code=code).stderr.splitlines()


def ids(folder: Path) -> dict[str, str]:
    """The short id of each letter, by its reason."""
    letters = json.loads(rater("dlq", "ls", "--json", cwd=folder).stdout)
    return {letter["reason"]: letter["id"][:12] for letter in letters}


def test_calls_without_a_price_are_listed(folder: Path) -> None:
    """The run counts them and prints the command that shows them, with the reason."""
    assert "1 call was rated without a price: rater show calls TENANT --anomalies" in run(folder, Exit.REFUSED)
    shown = rater("show", "calls", "contoso", "--anomalies", "--json", cwd=folder, code=Exit.OK).stdout
    assert [(call["usage_id"], call["anomalies"]) for call in json.loads(shown)] == [("abroad", "no_rate")]
    none = rater("show", "calls", "contoso", "--anomalies", "--on", "2025-03-13", cwd=folder, code=Exit.OK)
    assert "no call of contoso that began on 2025-03-13 with the flag anomaly was rated" in none.stderr


def test_calls_that_nobody_paid_for_are_counted(tmp_path: Path) -> None:
    """Nobody gave grace a licence: her call costs nothing, which the run says."""
    (tmp_path / "setup.jsonl").write_text(SETUP)
    (tmp_path / "usage.csv").write_text(
        f"{HEADER}\n{row('a', number='+442079460018').replace('Ada', 'Grace').replace('4b1c', '77aa')}\n"
    )
    words = ("run", "usage.csv", "--commands", "setup.jsonl", "--tenant", "contoso", "--deck", DECK)
    said = rater(*words, cwd=tmp_path, code=Exit.OK).stderr
    assert (
        "1 call was rated and paid by nobody: their users have no licence to spend credits (MCOPSTNC): rater show calls TENANT --flag unfunded"
        in said
    )
    assert "unfunded" in rater("explain", "a", cwd=tmp_path, code=Exit.OK).stdout


def test_a_file_that_comes_again_with_rows_that_were_refused(folder: Path) -> None:
    """The export has a call more, before the others: its wrong rows are the letters that there are."""
    run(folder, Exit.REFUSED)
    header, *calls = (folder / "usage.csv").read_text().splitlines()
    (folder / "usage.csv").write_text("\n".join([header, row("more"), *calls]) + "\n")
    assert run(folder, Exit.OK)[-1] == "2 records were refused before, too: rater dlq ls --all"


def test_a_letter_that_is_refused_again(folder: Path) -> None:
    """A wrong row is corrected in its file; a held call is accepted."""
    run(folder, Exit.REFUSED)
    found = ids(folder)
    wrong, long = found["malformed"], found["implausible_duration"]
    said = rater("dlq", "replay", cwd=folder, code=Exit.REFUSED).stderr
    assert f"{wrong}: refused again, malformed; " in said
    assert f"correct it in its file, run that, then: {NOTE.format(id=wrong)}" in said
    assert f"if it really lasted so long: rater dlq replay {long} --accept; else: {NOTE.format(id=long)}" in said
    assert f"rater dlq replay {wrong}; if the record is wrong" in rater("dlq", "show", wrong, cwd=folder).stderr


def test_more_calls_than_are_shown(folder: Path) -> None:
    """Two calls, of which the last is shown: the command that shows both is printed."""
    (folder / "usage.csv").write_text("\n".join([HEADER, row("one"), row("two")]) + "\n")
    run(folder, Exit.OK)
    one = rater("show", "calls", "contoso", "--last", "1", cwd=folder, code=Exit.OK)
    assert one.stderr == "there are more: --last 2 shows twice as many\n"
    assert rater("show", "calls", "contoso", "--last", "2", cwd=folder, code=Exit.OK).stderr == ""


def test_letters_are_counted_by_reason(folder: Path) -> None:
    """A second wrong row: two letters of one reason and one of another, and which of them a list of one has."""
    with (folder / "usage.csv").open("a") as file:
        file.write(row("wrong too", seconds="62 s") + "\n")
    run(folder, Exit.REFUSED)
    counted = "3 dead letters (2 malformed, 1 implausible_duration)"
    assert rater("dlq", "ls", cwd=folder).stderr == f"{counted}; rater dlq show ID shows one\n"
    one = rater("dlq", "ls", "--limit", "1", cwd=folder)
    assert one.stderr == f"{counted}; the oldest 1 are listed; rater dlq show ID shows one\n"


def test_a_usage_id_that_came_again_with_another_duration(folder: Path) -> None:
    """The letter names the three ways out; a replay is none of them."""
    (folder / "usage.csv").write_text("\n".join([HEADER, row("a"), row("a", seconds=62)]) + "\n")
    run(folder, Exit.REFUSED)
    id = ids(folder)["conflicting_duplicate"]
    said = rater("dlq", "show", id, cwd=folder).stderr
    assert "send it with its version + 1" in said
    assert "a usage id of its own" in said
    assert said.endswith(NOTE.format(id=id) + "\n")
    assert "replay" not in said
