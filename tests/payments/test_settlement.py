"""A gateway's settlement file beside the ledger, as tables: what agrees, what differs, and the command that corrects it.

A line of a file is `kind reference amount day`, an entry of the ledger `kind lot amount day`, all of March 2025, in
dollars, of the tenant contoso; amounts are whole dollars.
"""

from datetime import timedelta

import pytest

from rater.core import MICROS_PER_UNIT
from rater.files.settlement import reconcile
from rater.files.settlement_lines import Entry, Kind, Ledger, Line, Period, Request, mending_id
from rater.files.settlement_mending import mending
from tests.world import at

MARCH = Period(at("2025-03-01 00:00"), at("2025-03-31 00:00"), timedelta(hours=72))


def dollars(text: str) -> int:
    whole, _, cents = text.partition(".")
    return int(whole) * MICROS_PER_UNIT + int(cents.ljust(6, "0") or 0)


def lines(text: str) -> list[Line]:
    found = []
    for row, words in enumerate(filter(None, (part.split() for part in text.split(","))), start=2):
        kind, reference, amount, day, currency = (*words, "USD")[:5]
        found.append(
            Line(
                row=row,
                kind=Kind(kind),
                references=(reference,),
                amount=dollars(amount),
                currency=currency,
                at=at(f"2025-03-{int(day):02d} 12:00"),
                tenant="contoso",
            )
        )
    return found


def ledger(text: str, mended: dict[str, str] | None = None, requested: str = "", failed: bool = False) -> Ledger:
    """`mended` are adjustments by their id, in dollars with sign; `requested` a recharge of 100 without an answer."""
    entries = []
    for number, words in enumerate(filter(None, (part.split() for part in text.split(",")))):
        kind, lot, amount, day, *command = words
        entries.append(
            Entry(
                kind=Kind(kind),
                tenant="contoso",
                lot=lot,
                amount=dollars(amount),
                currency="USD",
                at=at(f"2025-03-{int(day):02d} 10:00"),
                command_id=(command or [f"c{number}"])[0],
            )
        )
    moved = {
        ("contoso", id): dollars(amount.lstrip("-")) * (-1 if amount[0] == "-" else 1)
        for id, amount in (mended or {}).items()
    }
    waiting = (
        (
            Request(
                tenant="contoso",
                recharge=requested,
                amount=dollars("100"),
                at=at("2025-03-10 09:00"),
                failed=failed,
            ),
        )
        if requested
        else ()
    )
    ids = frozenset([*moved, *[("contoso", entry.command_id or "") for entry in entries]])
    return Ledger(entries=tuple(entries), mended=moved, ids=ids, requests=waiting)


AGREE = {
    "a payment in both": ("payment r1 100 5", "payment r1 100 5"),
    "a payment that the file names by the id of its command": ("payment cmd 100 5", "payment r1 100 5 cmd"),
    "a payment of last month": ("payment r1 100 1", "payment r1 100 1"),
    "captured in two parts, 60 + 40": ("payment r1 60 5, payment r1 40 6", "payment r1 100 5"),
    "two refunds of one payment": (
        "payment r1 100 5, refund r1 30 6, refund r1 20 7",
        "payment r1 100 5, refund r1 20 6, refund r1 30 7",
    ),
    "a refund of 30 noted as 10 + 20": (
        "payment r1 100 5, refund r1 30 6",
        "payment r1 100 5, refund r1 10 6, refund r1 20 6",
    ),
    "a charge-back": ("payment r1 100 5, charge_back r1 100 9", "payment r1 100 5, charge_back r1 100 9"),
    "a charge-back of 100 - 30, which had been refunded": (
        "payment r1 100 5, refund r1 30 6, charge_back r1 70 9",
        "payment r1 100 5, refund r1 30 6, charge_back r1 70 9",
    ),
    "a charge-back of all, where 40 had expired": (
        "payment r1 100 5, charge_back r1 100 9",
        "payment r1 100 5, charge_back r1 60 9",
    ),
    "a payment of the last 72 hours, in the next file": ("payment r1 100 5", "payment r1 100 5, payment r2 100 29"),
    "collected twice, 100 + 100, and one of them paid back": (
        "payment r1 100 5, payment r1 100 6, refund r1 100 7",
        "payment r1 100 5",
    ),
    "collected three times, and 200 = 2 * 100 paid back at once": (
        "payment r1 100 5, payment r1 100 6, payment r1 100 7, refund r1 200 9",
        "payment r1 100 5",
    ),
    "collected twice, one paid back, and 30 of the other refunded": (
        "payment r1 100 5, payment r1 100 6, refund r1 30 7, refund r1 100 8",
        "payment r1 100 5, refund r1 30 7",
    ),
    "collected and paid back, and never credited": ("payment r1 100 5, refund r1 100 7", ""),
    "rows after the period": ("payment r1 100 5, payment r2 100 31", "payment r1 100 5"),
}


@pytest.mark.parametrize("case", AGREE)
def test_no_difference(case: str) -> None:
    """What agrees is no difference."""
    file, here = AGREE[case]
    assert reconcile(lines(file), ledger(here), MARCH).differences == ()


#: file, ledger, what differs as `found kind reference here there`, and how the line that corrects it begins.
DIFFER = {
    "collected, and not here": (
        "payment r1 100 5",
        "",
        "missing here payment r1 None 100",
        "rater tenant fund contoso 100 --id r1 --at 2025-03-05T12:00:00Z",
    ),
    "collected 12.34, less than a purchase can be (rule 61)": (
        "payment r1 12.34 5",
        "",
        "missing here payment r1 None 12.34",
        "rater tenant adjust contoso 12.34 --id gateway-payment-1-r1 --reason 'collected by the gateway as r1'",
    ),
    "here, and not collected": (
        "payment r2 100 5",
        "payment r1 100 5, payment r2 100 5",
        "missing there payment r1 100 None",
        "ask the gateway about r1; if it was never collected: rater tenant reverse-payment contoso r1"
        " --id gateway-payment-1-r1",
    ),
    "10 less collected than was credited": (
        "payment r1 90 5",
        "payment r1 100 5",
        "other amount payment r1 100 90",
        "rater tenant adjust contoso -10 --id gateway-payment-1-r1",
    ),
    "collected in euros": (
        "payment r1 100 5 EUR",
        "payment r1 100 5",
        "other currency payment r1 100 100",
        "ask the gateway about r1: why in EUR; r1 is in USD here?",
    ),
    "collected twice": (
        "payment r1 100 5, payment r1 100 6",
        "payment r1 100 5",
        "twice in the file payment r1 100 200",
        "ask the gateway about r1: collected 2 times? if so, let it refund 100 USD, and compare this file together",
    ),
    "collected three times, and paid back once: 300 - 100": (
        "payment r1 100 5, payment r1 100 6, payment r1 100 7, refund r1 100 8",
        "payment r1 100 5",
        "twice in the file payment r1 100 200",
        "ask the gateway about r1: collected 2 times? if so, let it refund 100 USD",
    ),
    "collected twice, paid back once, and never credited": (
        "payment r1 100 5, payment r1 100 6, refund r1 100 7",
        "",
        "missing here payment r1 None 100",
        "rater tenant fund contoso 100 --id r1",
    ),
    "a refund of a payment that was not credited": (
        "refund r9 100 9",
        "",
        "missing here refund r9 None 100",
        "ask the gateway about r9: it refunded a payment that was never credited here",
    ),
    "refunded in this file, which another file may have as collected twice": (
        "refund r1 100 30",
        "payment r1 100 29",
        "missing here refund r1 None 100",
        "rater tenant refund contoso r1 100 --id gateway-refund-20250330T120000-r1 --reason 'refunded by the gateway"
        " as r1' --by reconcile --yes --at 2025-03-30T12:00:00Z (if less is left of it: rater tenant adjust contoso"
        " -100 --id gateway-refund-20250330T120000-r1 --reason 'refunded by the gateway as r1' --by reconcile --yes"
        " --at 2025-03-30T12:00:00Z; nothing, if it pays back a second payment that was never credited",
    ),
    "refunded, and not here": (
        "payment r1 100 5, refund r1 30 6",
        "payment r1 100 5",
        "missing here refund r1 None 30",
        "rater tenant refund contoso r1 30 --id gateway-refund-20250306T120000-r1",
    ),
    "refunded here, and not there": (
        "payment r1 100 5",
        "payment r1 100 5, refund r1 30 6 paid-back",
        "missing there refund r1 30 None",
        "ask the gateway about r1; if it was not refunded: rater tenant adjust contoso 30"
        " --id gateway-refund-not-paid-back-r1",
    ),
    "30 refunded, 20 noted": (
        "payment r1 100 5, refund r1 30 6",
        "payment r1 100 5, refund r1 20 6",
        "other amount refund r1 20 30",
        "rater tenant refund contoso r1 10 --id gateway-refund-20250306T120000-r1",
    ),
    "charged back, and not here": (
        "payment r1 100 5, charge_back r1 100 9",
        "payment r1 100 5",
        "missing here charge_back r1 None 100",
        "rater tenant reverse-payment contoso r1 --id gateway-charge_back-1-r1",
    ),
    "a part charged back: 40 of 100": (
        "payment r1 100 5, charge_back r1 40 9",
        "payment r1 100 5",
        "missing here charge_back r1 None 40",
        "rater tenant adjust contoso -40 --id gateway-charge_back-1-r1",
    ),
    "charged back here, and not there": (
        "payment r1 100 5",
        "payment r1 100 5, charge_back r1 100 9",
        "missing there charge_back r1 100 None",
        "ask the gateway about r1; if it was not charged back: rater tenant adjust contoso 100"
        " --id gateway-charge_back-1-r1",
    ),
    "a charge-back of an unknown payment": (
        "charge_back r9 100 9",
        "",
        "missing here charge_back r9 None 100",
        "ask the gateway about r9: no payment of this reference is known here",
    ),
    "a dispute that was won": (
        "payment r1 100 5, charge_back r1 100 9, charge_back_won r1 100 20",
        "payment r1 100 5, charge_back r1 100 9",
        "missing here charge_back_won r1 None 100",
        "rater tenant adjust contoso 100 --id gateway-charge_back_won-1-r1",
    ),
}


def amount(micros: int | None) -> str:
    return str(micros if micros is None else f"{micros / MICROS_PER_UNIT:g}")


@pytest.mark.parametrize("case", DIFFER)
def test_a_difference(case: str) -> None:
    """Each is one difference, with what is here and there, and the line that corrects it."""
    file, here, expected, mend = DIFFER[case]
    (found,) = reconcile(lines(file), ledger(here), MARCH).differences
    said = (found.found.value, found.kind.value, found.reference, amount(found.here), amount(found.there))
    assert " ".join(said) == expected
    assert mending(found).startswith(mend), mending(found)


#: file, ledger before, and the ledger's entries and adjustments after the command of the line was typed.
MENDED = {
    "a payment added as a purchase": ("payment r1 100 5", "payment r1 100 5 r1", {}),
    "a payment added as an adjustment": ("payment r1 12.34 5", "", {"gateway-payment-1-r1": "12.34"}),
    "another amount": ("payment r1 90 5", "payment r1 100 5", {"gateway-payment-1-r1": "-10"}),
    "a payment that was never collected": (
        "payment r2 100 5",
        "payment r2 100 5, payment r1 100 5, charge_back r1 100 5 gateway-payment-1-r1",
        {},
    ),
    "a refund": (
        "payment r1 100 5, refund r1 30 6",
        "payment r1 100 5, refund r1 30 20 gateway-refund-20250306T120000-r1",
        {},
    ),
    "a refund of money that was used": (
        "payment r1 100 5, refund r1 30 6",
        "payment r1 100 5",
        {"gateway-refund-20250306T120000-r1": "-30"},
    ),
    "a refund that was not paid": (
        "payment r1 100 5",
        "payment r1 100 5, refund r1 30 6 paid-back",
        {"gateway-refund-not-paid-back-r1": "30"},
    ),
    "a part that was charged back": (
        "payment r1 100 5, charge_back r1 40 9",
        "payment r1 100 5",
        {"gateway-charge_back-1-r1": "-40"},
    ),
    "a dispute that was won": (
        "payment r1 100 5, charge_back r1 100 9, charge_back_won r1 100 20",
        "payment r1 100 5, charge_back r1 100 9",
        {"gateway-charge_back_won-1-r1": "100"},
    ),
}


@pytest.mark.parametrize("case", MENDED)
def test_what_was_mended_is_no_difference(case: str) -> None:
    """The next comparison of the same file finds nothing."""
    file, here, mended = MENDED[case]
    assert reconcile(lines(file), ledger(here, mended), MARCH).differences == ()


def test_a_second_correction_has_another_id() -> None:
    """80 collected of 100, of which 10 were corrected: 10 are left to correct, under a new id."""
    (found,) = reconcile(
        lines("payment r1 80 5"), ledger("payment r1 100 5", {mending_id(Kind.PAYMENT, "r1"): "-10"}), MARCH
    ).differences
    assert mending(found).startswith("rater tenant adjust contoso -10 --id gateway-payment-2-r1")


def test_a_recharge_in_flight() -> None:
    """Collected a day before the end: its answer may come.  Earlier: somebody has to ask; failed here: it is added."""
    here = ledger("", requested="r1")
    late = reconcile(lines("payment r1 100 30"), here, MARCH)
    assert (late.differences, late.in_flight) == ((), 1)
    (waits,) = reconcile(lines("payment r1 100 10"), here, MARCH).differences
    assert mending(waits).startswith("the recharge waits for its answer: run `rater agents`")
    (failed,) = reconcile(lines("payment r1 100 10"), ledger("", requested="r1", failed=True), MARCH).differences
    assert mending(failed).startswith("rater tenant adjust contoso 100 --id gateway-payment-1-r1")


def test_two_tenants_with_the_same_id() -> None:
    """Ids are a tenant's own: the column of the tenant decides; without it the amount does."""
    entries = tuple(
        Entry(
            kind=Kind.PAYMENT,
            tenant=tenant,
            lot="inv-1",
            amount=dollars(paid),
            currency="USD",
            at=at("2025-03-05 10:00"),
        )
        for tenant, paid in (("contoso", "100"), ("fabrikam", "70"))
    )
    nobody = [Line(row=2, kind=Kind.PAYMENT, references=("inv-1",), amount=dollars("70"), currency="USD")]
    (found,) = reconcile([*lines("payment inv-1 100 5"), *nobody], Ledger(entries=entries), MARCH).differences or (
        None,
    )
    assert found is None


def test_a_reference_that_would_be_an_option() -> None:
    """What is in a file is never read as an option of a command; long names and quotes are safe, too."""
    (dash,) = reconcile(lines("payment --store=x 100 5"), ledger(""), MARCH).differences
    assert mending(dash) == "ask the gateway about --store=x (row 2): whose is it?"
    (quoted,) = reconcile(lines("payment a'$(rm) 100 5".replace("a'$(rm)", "a';b")), ledger(""), MARCH).differences
    assert "--id 'a'\"'\"';b'" in mending(quoted)
    (long,) = reconcile(lines(f"payment {'x' * 200} 100 5"), ledger(""), MARCH).differences
    assert len(long.id) <= 128
    assert mending(long).startswith(f"rater tenant adjust contoso 100 --id {long.id} ")
