"""An account kept on paper beside the rater: every kind of posting, each with the balance after it."""

from decimal import Decimal

from rater.core.amounts import credited_by
from rater.core.outputs import AccountEvent, Debit
from rater.core.reasons import DebitKind
from tests.world import HARARE, World, ada

#: Posting | amount | balance after it | why.  Harare costs 0.20 a minute.
PAPER = """
    purchase          |   +50.00 |   50.00 | lot bank
    purchase          |   +30.00 |   80.00 | lot cash
    call              |    -5.20 |   74.80 | 26 minutes at 0.20, of bank: 44.80 left
    adjustment        |    +4.16 |   78.96 | the clerk gives it back: the call should have cost 26 * 0.04 = 1.04
    promotion         |    +2.00 |   80.96 |
    call              |    -3.00 |   77.96 | 15 minutes: 2 of the promotion, 1 of bank: 43.80 left
    reversal          |    +3.00 |   80.96 | that call was 10 minutes: 2 to the promotion, 1 to bank
    call              |    -2.00 |   78.96 | 10 minutes, of the promotion
    charge_back       |   -50.00 |   28.96 | the bank takes its 50 back: 44.80 are left of it, 5.20 of cash
    adjustment        |    -1.00 |   27.96 | the clerk takes it off, of cash: 23.80 left
    refund            |    -3.80 |   24.16 | of cash: 20.00 left
    recharge          |   +50.00 |   74.16 | below the trigger of 25 since the refund, but stopped; the card is replaced
    promotion         |    +0.84 |   75.00 |
    expiry            |    -0.84 |   74.16 | its time is over
    promotion         |    +1.00 |   75.16 |
    forfeit           |    -1.00 |   74.16 | the tenant is closed: the promotion
    pay_out           |   -74.16 |    0.00 | 20.00 of cash, 4.16 of the adjustment, 50.00 of the recharge
    call              |    -0.60 |   -0.60 | 3 minutes, before the closing: its record is late
"""


def paper() -> list[tuple[str, Decimal, Decimal]]:
    """The lines of the paper."""
    cells = [[cell.strip() for cell in line.split("|")] for line in PAPER.strip().splitlines()]
    return [(posting, Decimal(amount), Decimal(balance)) for posting, amount, balance, _ in cells]


class Ledger:
    """What the rater posted, in its order: credits are events, all else is debits."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.postings: list[tuple[str, Decimal, Decimal]] = []

    def book(self) -> None:
        """The postings of the last step; a debit says the balance after it itself."""
        for output in self.world.outputs:
            match output:
                case Debit():
                    amount = -Decimal(output.amount)
                    self.postings.append((output.kind.value, amount, Decimal(output.balance)))
                case AccountEvent() if credited_by(output):
                    kind = output.event.value.replace("funds.adjusted", "adjustment").replace(
                        "funds.added", "purchase"
                    )
                    kind = "promotion" if output.lot_kind else kind.replace("recharge.succeeded", "recharge")
                    amount = Decimal(output.amount or "0")
                    self.postings.append((kind, amount, Decimal(output.balance or "0")))


def test_the_paper_adds_up() -> None:
    """Each balance is the one before it and the amount."""
    balance = Decimal(0)
    for posting, amount, after in paper():
        balance += amount
        assert balance == after, posting


def test_the_account_is_what_stands_on_the_paper() -> None:
    """A45 to A47, closing: a clerk gives 4.16 back for one call, a bank takes 50 back, and the account adds up."""
    world = ada("MCOPSTNPP", funds=None, recharge=("25", "50"))
    ledger = Ledger(world)

    def posts(happened: object) -> None:
        assert happened is not None
        assert not world.refusals
        ledger.book()

    posts(world.fund("50", "2025-03-01", id="bank"))
    posts(world.fund("30", "2025-03-02", id="cash"))
    posts(world.call(HARARE, 26 * 60, "2025-03-10 10:00"))
    posts(world.adjust("4.16", "2025-03-11"))
    posts(world.promote("2", "2025-03-11", "2025-06-01"))
    posts(world.call(HARARE, 15 * 60, "2025-03-11 10:00", id="long"))
    posts(world.call(HARARE, 10 * 60, "2025-03-11 10:00", id="long", version=2))
    posts(world.reverse_payment("bank", "2025-03-12"))
    posts(world.adjust("-1", "2025-03-12"))
    posts(world.refund("cash", "3.8", "2025-03-12"))
    posts(world.configure("2025-03-12", payment_method="replaced"))
    posts(world.paid("2025-03-12"))
    posts(world.promote("0.84", "2025-03-13", "2025-03-14"))
    posts(world.tick("2025-03-14"))
    posts(world.promote("1", "2025-03-14", "2025-06-01"))
    posts(world.close("2025-03-15"))
    posts(world.call(HARARE, 3 * 60, "2025-03-14 23:00"))
    assert ledger.postings == paper()
    assert {kind for kind, _, _ in paper()} >= {kind.value for kind in DebitKind}
    assert world.balance == "-0.6"
