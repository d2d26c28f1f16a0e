"""Settlement files as gateways write them: recognised, read exactly; and `rater payments reconcile` on a store."""

import json
from pathlib import Path

import pytest

from rater.core import MICROS_PER_UNIT
from rater.files.settlement_csv import Reading, read_settlement
from rater.files.settlement_lines import Kind, Line
from rater.wire.errors import RaterError
from tests.commands import rater

STRIPE = """balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category,charge_id,payment_metadata[recharge_id]
txn_1,2025-03-01 10:00:00,usd,"1,100.50",3.20,1097.30,charge,ch_1,r1
txn_2,2025-03-02 11:00:00,usd,-30.00,0.00,-30.00,refund,ch_1,r1
txn_3,2025-03-03 12:00:00,usd,-100.00,15.00,-115.00,dispute,ch_2,
txn_4,2025-03-04 12:00:00,usd,-900.00,0.00,-900.00,payout,,
"""
ADYEN = """Company Account,Merchant Account,Psp Reference,Merchant Reference,Payment Method,Creation Date,TimeZone,Type,Modification Reference,Gross Currency,Gross Debit (GC),Gross Credit (GC),Exchange Rate,Net Currency
Acme,AcmeEU,P1,r1,visa,2025-03-01 11:00:00,CET,Settled,M1,EUR,,1100.50,1,EUR
Acme,AcmeEU,P1,r1,visa,2025-03-02 12:00:00,CET,Refunded,M2,EUR,30.00,,1,EUR
Acme,AcmeEU,P2,r2,visa,2025-07-03 14:00:00,CEST,Chargeback,M3,EUR,100.00,,1,EUR
Acme,AcmeEU,,,,2025-03-04 12:00:00,CET,MerchantPayout,,EUR,,,,EUR
Acme,AcmeEU,P3,r3,visa,2025-03-04 12:00:00,CET,Fee,,EUR,1.00,,,EUR
"""
PAYPAL = """"RH","2025/03/05 00:10:00 -0800","A","ACME",011
"FH",01
"SH","2025/03/04 00:00:00 -0800","2025/03/04 23:59:59 -0800","ACME",
"CH","Transaction ID","Invoice ID","PayPal Reference ID","PayPal Reference ID Type","Transaction Event Code","Transaction Initiation Date","Transaction Completion Date","Transaction Debit or Credit","Gross Transaction Amount","Gross Transaction Currency"
"SB","T1","r1",,,"T0006","2025/03/01 02:00:00 -0800","2025/03/01 02:00:00 -0800","CR","110050","USD"
"SB","T2","r1","T1","TXN","T1107","2025/03/02 03:00:00 -0800","2025/03/02 03:00:00 -0800","DR","3000","USD"
"SB","T3",,"T2","TXN","T1201","2025/03/03 04:00:00 -0800","2025/03/03 04:00:00 -0800","DR","100","JPY"
"SB","T4",,,,"T0400","2025/03/04 04:00:00 -0800","2025/03/04 04:00:00 -0800","DR","90000","USD"
"SF","USD","CR","110050"
"RF",1
"""


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "settlement.csv"
    path.write_bytes(text.encode(encoding))
    return path


def shown(lines: tuple[Line, ...]) -> list[tuple[str, str, str, str, str]]:
    return [
        (
            line.kind.value,
            line.reference,
            f"{line.amount // MICROS_PER_UNIT}.{line.amount % MICROS_PER_UNIT // 10_000:02d}",
            line.currency,
            f"{line.at:%m-%dT%H:%M}" if line.at else "",
        )
        for line in lines
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected", "skipped"),
    [
        (
            "Stripe itemized balance or payout reconciliation",
            STRIPE,
            [
                ("payment", "r1", "1100.50", "USD", "03-01T10:00"),
                ("refund", "r1", "30.00", "USD", "03-02T11:00"),
                ("charge_back", "ch_2", "100.00", "USD", "03-03T12:00"),
            ],
            {"payout": 1},
        ),
        (
            "Adyen settlement details",
            ADYEN,
            [  # CET is an hour, CEST two before UTC
                ("payment", "r1", "1100.50", "EUR", "03-01T10:00"),
                ("refund", "r1", "30.00", "EUR", "03-02T11:00"),
                ("charge_back", "r2", "100.00", "EUR", "07-03T12:00"),
            ],
            {"MerchantPayout": 1, "Fee": 1},
        ),
        (
            "PayPal settlement report",
            PAYPAL,
            [  # cents, and yen have none
                ("payment", "r1", "1100.50", "USD", "03-01T10:00"),
                ("refund", "r1", "30.00", "USD", "03-02T11:00"),
                ("charge_back", "T2", "100.00", "JPY", "03-03T12:00"),
            ],
            {"T0400": 1},
        ),
    ],
)
def test_a_file_says_by_itself_how_it_is_read(
    tmp_path: Path, name: str, text: str, expected: list[tuple[str, ...]], skipped: dict[str, int]
) -> None:
    """The formats of three gateways, without an option."""
    found = read_settlement(written(tmp_path, text), Reading())
    assert (found.format, shown(found.lines), found.skipped, found.unknown) == (name, expected, skipped, {})


def test_columns_of_another_bank(tmp_path: Path) -> None:
    """Decimal comma, semicolons, Windows' letters, German dates: given by options, read exactly."""
    text = (
        "Zweck;Betrag;Währung;Art;Datum\nr1;1.100,50;EUR;Zahlung;01.03.2025\nr1;-30,00;EUR;Rückbuchung;02.03.2025\n"
    )
    reading = Reading(
        columns={"reference": "Zweck", "amount": "Betrag", "type": "Art", "at": "Datum"},
        decimal="comma",
        encoding="windows-1252",
        zone="Europe/Berlin",
    )
    found = read_settlement(written(tmp_path, text, "windows-1252"), reading)
    assert shown(found.lines) == [
        ("payment", "r1", "1100.50", "EUR", "02-28T23:00"),
        ("charge_back", "r1", "30.00", "EUR", "03-01T23:00"),
    ]


def test_without_a_type_the_sign_decides(tmp_path: Path) -> None:
    """Money that came in is a payment, money that went out a refund; whole cents, and a currency for all."""
    text = "reference,amount\nr1,110050\nr1,-3000\n"
    found = read_settlement(written(tmp_path, text), Reading(minor_units=True, currency="USD"))
    assert shown(found.lines) == [("payment", "r1", "1100.50", "USD", ""), ("refund", "r1", "30.00", "USD", "")]


@pytest.mark.parametrize(
    ("text", "reading", "said"),
    [
        ("a,b\n1,2\n", Reading(), "which column is the amount is not clear; name it: --column amount=NAME"),
        ("reference,amount\nr1,1\n", Reading(), ":2: currency: expected a code of ISO 4217 such as USD; give it with"),
        ("reference,amount,currency\nr1,\"1,5\",USD\n", Reading(), "--decimal comma; got '1,5'"),
        ("reference,amount,currency\nr1,1.234,USD\n", Reading(decimal="comma"), None),
        ("reference,amount,currency\nr1,1.23,USD\n", Reading(decimal="comma"), "such as 1.234,56; got '1.23'"),
        ("reference,amount,currency\nr1,1.0000001,USD\n", Reading(), "got '1.0000001'"),
        ("reference,amount,currency\nr1,1.5,USD\n", Reading(minor_units=True), "expected whole minor units, got '1.5'"),
        ("reference,amount,currency,at\nr1,1,USD,03/04/2025\n", Reading(), "give its pattern with --time-format"),
        ("reference,amount,currency\nr1,1\n", Reading(), ":2: expected 3 cells, got 2"),
        ("reference,amount\nr1,1\n", Reading(columns={"type": "Art"}), "no column 'Art'; its columns are reference, amount"),
        ("", Reading(), "expected a header and rows, got nothing"),
        ("reference,amount\n", Reading(encoding="latin-99"), "--encoding: expected one such as utf-8"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(tmp_path: Path, text: str, reading: Reading, said: str | None) -> None:
    """File, row, column, what was expected, what to do; nothing is compared then."""
    path = written(tmp_path, text)
    if said is None:
        read_settlement(path, reading)  # 1.234 are one thousand two hundred and thirty-four
        return
    with pytest.raises(RaterError) as wrong:
        read_settlement(path, reading)
    assert said in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_unknown_types_are_listed(tmp_path: Path) -> None:
    """They are not compared, and counted; a person says what they are."""
    text = "reference,amount,currency,type\nr1,1,USD,Einzug\nr2,1,USD,Einzug\n"
    path = written(tmp_path, text)
    assert read_settlement(path, Reading()).unknown == {"Einzug": 2}
    assert [line.kind for line in read_settlement(path, Reading(types={"einzug": Kind.PAYMENT})).lines] == [
        Kind.PAYMENT
    ] * 2
    assert read_settlement(path, Reading(types={"Einzug": None})).skipped == {"Einzug": 2}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a tenant that bought 100, and a file in which the gateway collected 100 and 200 more."""
    words = ("--at", "2025-03-01T09:00:00Z")
    rater("tenant", "add", "contoso", "--currency", "USD", *words, cwd=tmp_path, code=0)
    rater("tenant", "fund", "contoso", "100", "--id", "inv-1", *words, cwd=tmp_path, code=0)
    text = "reference,amount,currency,type,at,tenant\n"
    text += (
        "inv-1,100,USD,payment,2025-03-01T09:00:00Z,contoso\ninv-2,200,USD,payment,2025-03-02T09:00:00Z,contoso\n"
    )
    (tmp_path / "march.csv").write_text(text)
    return tmp_path


def test_a_difference_is_mended_by_its_command(folder: Path) -> None:
    """Exit 1 with the command; typed twice it adds the money once; then the file and the ledger agree."""
    found = rater("payments", "reconcile", "march.csv", "--format", "json", cwd=folder, code=1)
    (difference,) = json.loads(found.stdout)
    assert difference["mend"] == "rater tenant fund contoso 200 --id inv-2 --at 2025-03-02T09:00:00Z"
    for _ in range(2):
        rater(*difference["mend"].split()[1:], cwd=folder, code=0)
    agreed = rater("payments", "reconcile", "march.csv", cwd=folder, code=0)
    assert agreed.stdout == ""
    assert "2 lines; 2 agree, 0 may be in the next file, 0 differences" in agreed.stderr
    balance = json.loads(rater("show", "balance", "contoso", "--json", cwd=folder, code=0).stdout)
    assert balance["balance"] == "300"


def test_differences_as_a_file(folder: Path) -> None:
    """CSV for a spreadsheet; a reference that would be computed there stands behind an apostrophe."""
    (folder / "evil.csv").write_text("reference,amount,currency,at\n=1+1,100,USD,2025-03-01\n")
    rater("payments", "reconcile", "evil.csv", "--format", "csv", "--out", "found.csv", cwd=folder, code=1)
    header, row, *more = (folder / "found.csv").read_text().splitlines()
    assert header == "difference,kind,reference,tenant,here,there,currency,at,rows,mend"
    assert row.startswith("missing here,payment,'=1+1,,,100,USD,2025-03-01T00:00:00Z,2,")
    assert more[0].startswith("missing there,payment,inv-1,contoso,100,,USD,") if more else True


def test_purchases_by_hand_may_be_left_out(folder: Path) -> None:
    """Who pays by bank transfer is in no file of the gateway."""
    (folder / "other.csv").write_text("reference,amount,currency,type,at\nx,1,USD,fee,2025-03-01\n")
    period = ("--from", "2025-03-01T00:00:00Z", "--to", "2025-03-31T00:00:00Z")
    rater("payments", "reconcile", "other.csv", *period, cwd=folder, code=1)
    rater("payments", "reconcile", "other.csv", *period, "--recharges-only", cwd=folder, code=0)
