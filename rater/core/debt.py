"""What a tenant owes: which calls went into debt, in their order, and which purchases paid for them since.

All debt that a tenant ever incurred stands on one line of micro-units, oldest first, so that a call only has to
know where its part begins (`owed_from`); a purchase pays what is unpaid from the front (A20).  A correction finds
there who paid for the call, and gives it back to them (A12).
Refuses to know lots and balances.
"""

from collections.abc import Iterable

import msgspec


class Part(msgspec.Struct, frozen=True):
    """A part of the line, from `start` up to `end`; `lot` paid for it, None while nobody has."""

    start: int
    end: int
    lot: str | None = None


class Debts(msgspec.Struct, frozen=True):
    """The line: its length `incurred`, and its parts in order, but not those that were taken back or forgotten."""

    incurred: int = 0
    parts: tuple[Part, ...] = ()


def owe(debts: Debts, amount: int) -> Debts:
    """More debt, at the end of the line."""
    end = debts.incurred + amount
    return Debts(end, _joined((*debts.parts, Part(debts.incurred, end))))


def pay(debts: Debts, amount: int, lot: str) -> Debts:
    """A lot pays what is unpaid, oldest first; it is not more than that."""
    parts: list[Part] = []
    for part in debts.parts:
        given = min(amount, part.end - part.start) if part.lot is None else 0
        amount -= given
        parts.append(Part(part.start, part.start + given, lot))
        parts.append(Part(part.start + given, part.end, part.lot))
    assert amount == 0, amount
    return Debts(debts.incurred, _joined(parts))


def take_back(debts: Debts, owed_from: int, amount: int) -> tuple[Debts, tuple[Part, ...]]:
    """The line without one call's part of it, and that part as far as it is known who paid or that nobody did."""
    end = owed_from + amount
    kept: list[Part] = []
    taken: list[Part] = []
    for part in debts.parts:
        first, last = max(part.start, owed_from), min(part.end, end)
        if first >= last:
            kept.append(part)
            continue
        taken.append(Part(first, last, part.lot))
        kept.append(Part(part.start, first, part.lot))
        kept.append(Part(last, part.end, part.lot))
    return Debts(debts.incurred, _joined(kept)), tuple(taken)


def forget(debts: Debts, lots: frozenset[str]) -> Debts:
    """The line without what was paid by lots that are gone: they take nothing back."""
    return Debts(debts.incurred, tuple(part for part in debts.parts if part.lot not in lots))


def _joined(parts: Iterable[Part]) -> tuple[Part, ...]:
    """No empty parts, and neighbours of one payer as one: as many parts as payers, and not as many as calls."""
    joined: list[Part] = []
    for part in parts:
        if part.start >= part.end:
            continue
        before = joined[-1] if joined else None
        if before is not None and (before.end, before.lot) == (part.start, part.lot):
            joined[-1] = Part(before.start, part.end, part.lot)
        else:
            joined.append(part)
    return tuple(joined)
