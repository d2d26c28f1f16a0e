"""What is compared when a settlement file is: its lines, the ledger's entries, and the differences.

Amounts are micro-units.
"""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from rater.core import CONTROL_CHARACTERS, IDENTIFIER_LENGTH_MAX, digest

#: What the ids of commands begin with that correct a difference.
MENDED = "gateway-"


class Kind(StrEnum):
    """What money of a settlement file was."""

    PAYMENT = "payment"
    REFUND = "refund"
    CHARGE_BACK = "charge_back"
    CHARGE_BACK_WON = "charge_back_won"  # the bank gave a charge-back up


class Found(StrEnum):
    """What is wrong between file and ledger."""

    MISSING_HERE = "missing here"
    MISSING_THERE = "missing there"
    OTHER_AMOUNT = "other amount"
    OTHER_CURRENCY = "other currency"
    TWICE = "twice in the file"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the file about collected money; `amount` is above zero, in micro-units.

    `references` are all that the row says it is about, the most likely one first.
    """

    row: int
    kind: Kind
    references: tuple[str, ...]
    amount: int
    currency: str
    at: datetime | None = None
    tenant: str | None = None

    @property
    def reference(self) -> str:
        """The one that people are shown."""
        return self.references[0] if self.references else ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A payment, refund or charge-back in the ledger; `amount` is zero where nothing was left to reverse."""

    kind: Kind
    tenant: str
    lot: str
    amount: int
    currency: str
    at: datetime
    command_id: str | None = None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A recharge that was asked for, and not paid as far as the ledger knows; `failed`: the gateway said so."""

    tenant: str
    recharge: str
    amount: int
    at: datetime
    failed: bool = False


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """What the rater has.  `ids` are those of all commands about money, `mended` what adjustments moved, by id."""

    entries: tuple[Entry, ...] = ()
    requests: tuple[Request, ...] = ()
    mended: dict[tuple[str, str], int] = {}
    ids: frozenset[tuple[str, str]] = frozenset()


class Period(msgspec.Struct, frozen=True):
    """From `begin` to `end`; what happened less than `grace` before the end may be in the next file."""

    begin: datetime
    end: datetime
    grace: timedelta

    def is_due(self, at: datetime) -> bool:
        """Whether what happened then must be on the other side, too."""
        return self.begin <= at <= self.end - self.grace

    def near(self, at: datetime) -> bool:
        """Whether a file of this period can be about what happened then."""
        return self.begin - self.grace <= at <= self.end + self.grace


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One difference: what is there (in the file) and here (in the ledger), None for nothing.

    `lot` is the payment where the ledger knows it, `paid` its amount less refunds, `id` the id of the command that
    corrects it, `once` the first of several amounts, `elsewhere` that file or ledger have it as charged back,
    `credited` that file or ledger have the payment.
    """

    found: Found
    kind: Kind
    reference: str
    tenant: str | None
    here: int | None
    there: int | None
    currency: str
    id: str
    at: datetime | None = None
    rows: tuple[int, ...] = ()
    lot: str | None = None
    paid: int | None = None
    here_currency: str | None = None
    once: int | None = None
    elsewhere: bool = False
    credited: bool = True
    request: Request | None = None


class Reconciliation(msgspec.Struct, frozen=True):
    """The differences; `agreed` are lines that match, `in_flight` what may still come from the other side."""

    differences: tuple[Difference, ...]
    agreed: int
    in_flight: int


def mending_id(kind: Kind, reference: str, which: int | str = 1) -> str:
    """The id of the command that corrects a difference: one difference has one id, so it is corrected once.

    `which` distinguishes several of one payment: a number, or of a refund its time.
    """
    id = f"{MENDED}{kind.value}-{which}-{reference}"
    if len(id) <= IDENTIFIER_LENGTH_MAX and not CONTROL_CHARACTERS.search(id):
        return id
    return f"{MENDED}{kind.value}-{digest(which, reference)}"
