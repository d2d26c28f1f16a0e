"""What a payment gateway says that it collected and paid back, beside what the rater has: a pure comparison.

A payment is found by its reference: the lot that it bought (a recharge's id, a purchase's id) or the id of its
command.  Refunds of a payment, of which there may be several, are paired by amount with the ledger's, then with
what was collected and never credited, such as a second payment of one reference.  A command whose id is a
`mending_id` counts with what it corrects, so that a corrected difference does not appear again.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from rater.files.settlement_lines import (
    MENDED,
    Difference,
    Entry,
    Found,
    Kind,
    Ledger,
    Line,
    Period,
    Reconciliation,
    mending_id,
)


def reconcile(lines: Iterable[Line], ledger: Ledger, period: Period) -> Reconciliation:
    """Compare a file with the ledger; pure."""
    return _Comparison(ledger, period).of([line for line in lines if _within(line, period)])


def _within(line: Line, period: Period) -> bool:
    return line.at is None or period.begin <= line.at <= period.end


_Place = tuple[str | None, str]


class _Comparison:
    """One run: the entries by name, and what was found so far."""

    def __init__(self, ledger: Ledger, period: Period) -> None:
        self._ledger, self._period = ledger, period
        self._named: dict[str, list[Entry]] = defaultdict(list)
        self._of_lot: dict[tuple[Kind, str, str], list[Entry]] = defaultdict(list)
        for entry in ledger.entries:
            for name in {entry.lot, entry.command_id} - {None}:
                self._named[str(name)].append(entry)
            self._of_lot[(entry.kind, entry.tenant, entry.lot)].append(entry)
        self._requests = {request.recharge: request for request in ledger.requests}
        self._found: list[Difference] = []
        self._seen: set[_Place] = set()
        self._paid_there: set[_Place] = set()
        self._agreed = self._in_flight = 0

    def of(self, lines: Sequence[Line]) -> Reconciliation:
        groups: dict[tuple[Kind, _Place], list[Line]] = defaultdict(list)
        for line in lines:
            groups[(line.kind, self._place(line))].append(line)
        for place in {place for _, place in groups}:
            self._pay_back_surplus(place, groups[(Kind.PAYMENT, place)], groups[(Kind.REFUND, place)])
        left = {key: group for key, group in groups.items() if group}
        self._paid_there = {place for kind, place in left if kind is Kind.PAYMENT}
        for (kind, place), group in left.items():
            self._compare(kind, place, group)
        self._seen = {place for _, place in left}
        self._missing_there(left.keys())
        order = {kind: number for number, kind in enumerate(Kind)}
        found = sorted(self._found, key=lambda one: (one.tenant or "", one.reference, order[one.kind], one.rows))
        return Reconciliation(tuple(found), self._agreed, self._in_flight)

    def _place(self, line: Line) -> _Place:
        """The payment that a line is about: (tenant, lot); what the ledger does not know keeps its reference."""
        for reference in line.references:
            known = [one for one in self._named.get(reference, ()) if line.tenant in (None, one.tenant)]
            if len({one.tenant for one in known}) > 1:  # two tenants may use the same id
                alike = [one for one in known if (one.amount, one.currency) == (line.amount, line.currency)]
                known = alike or known
            if known and len({one.tenant for one in known}) == 1:
                return known[0].tenant, known[0].lot
            request = self._requests.get(reference)
            if request is not None:
                return request.tenant, reference
        return line.tenant, line.reference

    def _pay_back_surplus(self, place: _Place, paid: list[Line], back: list[Line]) -> None:
        """Drop what was collected and never credited, with its refunds: all of both, or of one amount each."""
        known = self._here(Kind.PAYMENT, place, self._entries(Kind.PAYMENT, place))
        request = self._requests.get(place[1])
        if known not in (0, paid[0].amount if paid else 0) or (request is not None and not request.failed):
            return
        surplus = paid[1:] if known else list(paid)
        if self._of_other_currency(place, paid + back) or len({line.currency for line in paid + back}) != 1:
            return
        refunds = self._unpaired(place, back)[0]
        pairs = [(surplus, refunds)]
        if sum([line.amount for line in surplus]) != sum([line.amount for line in refunds]):
            pairs = _of_one_amount(surplus, refunds)
        for payments, refunded in pairs:
            for line in payments:
                paid.remove(line)
            for line in refunded:
                back.remove(line)
            self._agreed += len(payments) + len(refunded)

    def _compare(self, kind: Kind, place: _Place, lines: list[Line]) -> None:
        if kind is Kind.REFUND:
            self._compare_refunds(place, lines)
            return
        here = self._entries(kind, place)
        if wrong := self._of_other_currency(place, lines):
            self._differ(Found.OTHER_CURRENCY, kind, place, wrong, here)
            return
        there, had = sum([line.amount for line in lines]), self._here(kind, place, here)
        if there == had or (kind is Kind.CHARGE_BACK and here and there == self._paid(place)):
            self._agreed += len(lines)
        elif len(lines) > 1 and had in (0, lines[0].amount):
            if not had:
                self._differ(Found.MISSING_HERE, kind, place, lines[:1], here)
            self._differ(Found.TWICE, kind, place, lines, here)
        elif had:
            self._differ(Found.OTHER_AMOUNT, kind, place, lines, here)
        elif self._may_still_be_paid(place, lines):
            self._in_flight += len(lines)
        else:
            self._differ(Found.MISSING_HERE, kind, place, lines, here)

    def _compare_refunds(self, place: _Place, lines: list[Line]) -> None:
        """Pair those of the same amount; what is left are differences, each with an id of its own."""
        if wrong := self._of_other_currency(place, lines):
            self._differ(Found.OTHER_CURRENCY, Kind.REFUND, place, wrong, ())
            return
        left, here = self._unpaired(place, lines)
        self._agreed += len(lines) - len(left)
        here = [entry for entry in here if self._period.is_due(entry.at) and not self._is_given_back(place, entry)]
        if sum([line.amount for line in left]) == sum([entry.amount for entry in here]):
            self._agreed += len(left)  # in parts on one side
        elif len(left) == len(here) == 1:
            which = _refund_at(left[0].at, left[0].amount)
            self._differ(Found.OTHER_AMOUNT, Kind.REFUND, place, left, here, which)
        else:
            for line in left:
                which = _refund_at(line.at, line.amount)
                self._differ(Found.MISSING_HERE, Kind.REFUND, place, [line], (), which)
            self._not_refunded_there(place, here)

    def _unpaired(self, place: _Place, lines: Sequence[Line]) -> tuple[list[Line], list[Entry]]:
        """The refunds without one of the same amount on the other side."""
        here = [entry for entry in self._refunds(place) if self._period.near(entry.at)]
        left = []
        for line in lines:
            twin = next((entry for entry in here if entry.amount == line.amount), None)
            if twin is not None:
                here.remove(twin)
            elif not self._is_mended(place, _refund_at(line.at, line.amount)):
                left.append(line)
        return left, here

    def _not_refunded_there(self, place: _Place, here: Sequence[Entry]) -> None:
        for entry in here:
            self._differ(Found.MISSING_THERE, Kind.REFUND, place, (), [entry], f"not-{entry.command_id}")

    def _refunds(self, place: _Place) -> list[Entry]:
        """Those that are paired: one that corrects a difference belongs to its line by its id."""
        entries = self._entries(Kind.REFUND, place)
        return [entry for entry in entries if not (entry.command_id or "").startswith(MENDED)]

    def _is_mended(self, place: _Place, which: str) -> bool:
        return (place[0] or "", mending_id(Kind.REFUND, place[1], which)) in self._ledger.ids

    def _is_given_back(self, place: _Place, entry: Entry) -> bool:
        return self._is_mended(place, f"not-{entry.command_id}")

    def _of_other_currency(self, place: _Place, lines: Sequence[Line]) -> list[Line]:
        known = {entry.currency for kind in Kind for entry in self._entries(kind, place)}
        return [line for line in lines if known and line.currency not in known]

    def _may_still_be_paid(self, place: _Place, lines: list[Line]) -> bool:
        """Whether the recharge was asked for, and its answer may be on its way."""
        request = self._requests.get(place[1])
        if request is None or request.failed or lines[0].kind is not Kind.PAYMENT:
            return False
        return (lines[0].at or self._period.end) > self._period.end - self._period.grace

    def _missing_there(self, compared: Iterable[tuple[Kind, _Place]]) -> None:
        """Entries of the period that the file does not mention."""
        done = set(compared)
        for (kind, tenant, lot), entries in self._of_lot.items():
            place = (tenant, lot)
            if (kind, place) in done or self._is_void(place):
                continue
            due = [entry for entry in entries if self._period.is_due(entry.at)]
            self._in_flight += sum([self._period.begin <= entry.at <= self._period.end for entry in entries]) - len(
                due
            )
            if kind is Kind.REFUND:
                paired = self._refunds(place)
                here = [entry for entry in due if entry in paired and not self._is_given_back(place, entry)]
                self._not_refunded_there(place, here)
            elif due and self._here(kind, place, due):
                self._differ(Found.MISSING_THERE, kind, place, [], due)

    def _is_void(self, place: _Place) -> bool:
        """Whether a payment that was never collected was taken back here: nothing of it needs to be in the file."""
        begin = f"{MENDED}{Kind.PAYMENT.value}-"
        return any((entry.command_id or "").startswith(begin) for entry in self._entries(Kind.CHARGE_BACK, place))

    def _entries(self, kind: Kind, place: _Place) -> list[Entry]:
        tenant, lot = place
        return list(self._of_lot.get((kind, tenant, lot), ())) if tenant is not None else []

    def _here(self, kind: Kind, place: _Place, entries: Sequence[Entry]) -> int:
        """What the ledger has: entries, and what adjustments corrected of them."""
        sign = 1 if kind in (Kind.PAYMENT, Kind.CHARGE_BACK_WON) else -1
        return sum([entry.amount for entry in entries]) + sign * self._mended(kind, place)

    def _mended(self, kind: Kind, place: _Place) -> int:
        """What adjustments moved that correct this payment or charge-back."""
        ids = [(place[0] or "", mending_id(kind, place[1], n)) for n in range(1, self._next_number(kind, place))]
        return sum([self._ledger.mended.get(id, 0) for id in ids])

    def _paid(self, place: _Place) -> int | None:
        """What was paid less what was refunded; None where the ledger does not know the payment."""
        paid = self._entries(Kind.PAYMENT, place)
        if not paid:
            return None
        gone = self._entries(Kind.REFUND, place)
        return sum([entry.amount for entry in paid]) - sum([entry.amount for entry in gone])

    def _differ(
        self,
        found: Found,
        kind: Kind,
        place: _Place,
        lines: Sequence[Line],
        here: Sequence[Entry],
        which: str | None = None,
    ) -> None:
        tenant, reference = place
        paid = self._entries(Kind.PAYMENT, place)
        first: Line | Entry = lines[0] if lines else here[0]
        here_amount = sum([entry.amount for entry in here]) if which else self._here(kind, place, here)
        self._found.append(
            Difference(
                found=found,
                kind=kind,
                reference=reference,
                tenant=tenant,
                here=here_amount if here or here_amount else None,
                there=sum([line.amount for line in lines]) if lines else None,
                currency=first.currency,
                id=mending_id(kind, reference, which or self._next_number(kind, place)),
                at=first.at,
                rows=tuple(line.row for line in lines),
                lot=reference if paid else None,
                paid=self._paid(place),
                here_currency=next((one.currency for k in Kind for one in self._entries(k, place)), None),
                once=lines[0].amount if lines else None,
                elsewhere=bool(self._entries(Kind.CHARGE_BACK, place)) or place in self._seen,
                request=self._requests.get(reference),
                credited=self._here(Kind.PAYMENT, place, paid) != 0 or place in self._paid_there,
            )
        )

    def _next_number(self, kind: Kind, place: _Place) -> int:
        """The first that was not used to correct this payment."""
        number = 1
        while (place[0] or "", mending_id(kind, place[1], number)) in self._ledger.ids:
            number += 1
        return number


def _refund_at(at: datetime | None, amount: int) -> str:
    """What distinguishes the refunds of one payment: when, or else how much."""
    return str(amount) if at is None else f"{at:%Y%m%dT%H%M%S}"


def _of_one_amount(payments: Iterable[Line], refunds: Iterable[Line]) -> list[tuple[list[Line], list[Line]]]:
    """Each payment with a refund of its amount, where there is one."""
    left, pairs = list(refunds), []
    for payment in payments:
        refund = next((line for line in left if line.amount == payment.amount), None)
        if refund is not None:
            left.remove(refund)
            pairs.append(([payment], [refund]))
    return pairs
