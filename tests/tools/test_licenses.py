"""Licence lists into commands."""

from pathlib import Path

import pytest

from rater.files.licenses import Licenses, unknown_in_commands
from rater.wire.errors import RaterError
from tests.world import at

USERS = "UPN,SKU,Usage country\nAda@contoso.example,MCOPSTN1,us\nada@contoso.example,MCOPSTNPP,US\nbob@c.example,X9,GB\n"


def file(tmp_path: Path, text: str, name: str = "users.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_assignments_become_commands(tmp_path: Path) -> None:
    """One command a row, the same ids each time; an unknown licence is accepted and named."""
    licenses = Licenses(file(tmp_path, USERS))
    commands = list(licenses.commands("contoso", at("2025-03-01")))
    assert [(c.user, c.sku, c.country) for c in commands] == [
        ("Ada@contoso.example", "MCOPSTN1", "US"),
        ("ada@contoso.example", "MCOPSTNPP", "US"),
        ("bob@c.example", "X9", "GB"),
    ]
    assert commands == list(licenses.commands("contoso", at("2025-03-01")))
    assert len(licenses.warnings) == 1
    assert licenses.warnings[0] == (
        f"{licenses.path}:4: X9: not in the catalogue; accepted, 1 assigned, it gives no minutes"
    )


def test_a_misspelt_licence(tmp_path: Path) -> None:
    """New-user trial: its first row, how often it is assigned, and which one is meant."""
    rows = "UPN,SKU,Usage country\nann@c.example,MCOPSTN1,US\nbob@c.example,MCOPSNT1,US\ncy@c.example,MCOPSNT1,US\n"
    licenses = Licenses(file(tmp_path, rows))
    said = ":3: MCOPSNT1: not in the catalogue; accepted, 2 assigned, it gives no minutes; did you mean MCOPSTN1?"
    assert licenses.warnings == [f"{licenses.path}{said}"]


def test_a_misspelt_licence_in_a_file_of_commands(tmp_path: Path) -> None:
    """The same line, where commands are published."""
    commands = [
        f'{{"command":"license_assigned","tenant":"contoso","id":"{sku}","at":"2025-01-01T00:00:00Z","user":"ada",'
        f'"sku":"{sku}"}}\n'
        for sku in ("MCOPSTN1", "MCOPSTN_PAGY_1")
    ]
    path = file(tmp_path, "".join(commands), "setup.jsonl")
    said = "not in the catalogue; accepted, 1 assigned, it gives no minutes; did you mean MCOPSTN_PAYG_1?"
    assert unknown_in_commands(path) == [f"{path}:2: MCOPSTN_PAGY_1: {said}"]


def test_more_assigned_than_purchased(tmp_path: Path) -> None:
    """An error that names the licence and the counts."""
    licenses = Licenses(file(tmp_path, USERS))
    licenses.check_purchased(file(tmp_path, "SKU,Purchased\nMCOPSTN1,1\nMCOPSTNC,5\nMCOPSTNPP,1\nX9,1\n", "ok.csv"))
    with pytest.raises(RaterError, match="MCOPSTN1: 1 assigned, 0 purchased; X9: 1 assigned, 0 purchased"):
        licenses.check_purchased(file(tmp_path, "SKU,Purchased\nMCOPSTNPP,1\n", "few.csv"))


@pytest.mark.parametrize("count", ["²", "٣", "-1", "+1", "1.0", "", "1_000", "9" * 10, "9" * 5000])
def test_an_invalid_count(tmp_path: Path, count: str) -> None:
    """A raised two, digits of another script and numbers that nothing holds are one clear error, and no traceback."""
    purchased = file(tmp_path, f"SKU,Purchased\nMCOPSTN1,{count}\n", "purchased.csv")
    with pytest.raises(RaterError, match=":2: Purchased: expected a count of 1 to 9 digits, got ") as refused:
        Licenses(file(tmp_path, USERS)).check_purchased(purchased)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (",MCOPSTN1,US", "2: UPN"),
        ("ada,MCOPSTN1,US", "2: UPN"),
        ("ada@c.example,MCOPSTN1,Narnia", "2: Usage country: expected an ISO"),
        (
            "ada@c.example,MCOPSTN1,UK",
            "2: Usage country: expected an ISO 3166-1 alpha-2 country, got 'UK'; did you mean GB?",
        ),
        ("ada@c.example,,US", "2: SKU"),
        ("ada@c.example,MCOPSTN5,US\nADA@c.example,MCOPSTN_5,US", "3: expected once"),
    ],
)
def test_bad_rows(tmp_path: Path, row: str, said: str) -> None:
    """File, row, column, what was expected."""
    path = file(tmp_path, f"UPN,SKU,Usage country\n{row}\n")
    with pytest.raises(RaterError) as error:
        Licenses(path)
    assert str(error.value).startswith(f"{path}:{said}")


@pytest.mark.parametrize("count", ["²", "9" * 4301, "-1", ""])
def test_a_count_of_purchases_is_written_with_digits(tmp_path: Path, count: str) -> None:
    """The file, the row, what was expected and the beginning of what stands there."""
    licenses = Licenses(file(tmp_path, USERS))
    with pytest.raises(
        RaterError, match=r"few.csv:2: Purchased: expected a count of 1 to 9 digits, got '.{0,40}'$"
    ):
        licenses.check_purchased(file(tmp_path, f"SKU,Purchased\nX9,{count}\n", "few.csv"))
