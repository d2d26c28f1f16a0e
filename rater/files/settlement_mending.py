"""The command that corrects a difference between a settlement file and the ledger, or what to ask the gateway."""

import shlex

from rater.core import CONTROL_CHARACTERS, IDENTIFIER_LENGTH_MAX, MICROS_PER_UNIT, format_micros
from rater.files.settlement_lines import Difference, Found, Kind

#: Rule 61: an amount of `rater tenant fund` is whole and at least this much; else it is an adjustment.
FUND_MIN = 50 * MICROS_PER_UNIT


def mending(difference: Difference, where: str = "", by: str = "reconcile") -> str:
    """One line; `where` are the options that name the store or the cluster, `by` who is noted as having done it."""
    return _Mending(difference, where, by).line()


class _Mending:
    def __init__(self, difference: Difference, where: str, by: str) -> None:
        self._it, self._where, self._by = difference, where, by

    def line(self) -> str:
        it = self._it
        # What begins with a dash would be read as an option.
        if not it.tenant or not it.reference or it.reference.startswith("-") or it.tenant.startswith("-"):
            row = f" (row {it.rows[0]})" if it.rows else ""
            return f"ask the gateway about {it.reference or 'a payment without a reference'}{row}: whose is it?"
        if it.found is Found.OTHER_CURRENCY:
            ledger = f"; {it.reference} is in {it.here_currency} here" if it.here_currency else ""
            return f"ask the gateway about {it.reference}: why in {it.currency}{ledger}?"
        match it.kind:
            case Kind.PAYMENT:
                return self._payment()
            case Kind.REFUND:
                return self._refund()
            case Kind.CHARGE_BACK:
                return self._charge_back()
            case Kind.CHARGE_BACK_WON:
                return self._adjust((it.there or 0) - (it.here or 0), "charge-back given up by the bank")

    def _payment(self) -> str:
        it = self._it
        there, here = it.there or 0, it.here or 0
        if it.found is Found.TWICE:
            ask = f"ask the gateway about {it.reference}: collected {len(it.rows)} times? if so, let it refund"
            then = "and compare this file together with the one that has the refund"
            return f"{ask} {format_micros(there - (it.once or 0))} {it.currency}, {then}"
        if it.found is Found.MISSING_THERE:
            if it.elsewhere:
                return f"ask the gateway about {it.reference}: its payment is in no file, what went back of it is"
            words = ["reverse-payment", it.tenant or "", it.reference, "--id", it.id]
            mend = self._say(words, "not collected")
            return f"ask the gateway about {it.reference}; if it was never collected: {mend}"
        if it.found is Found.OTHER_AMOUNT:
            return self._adjust(there - here, f"the gateway collected {format_micros(there)} of {it.reference}")
        if it.request is not None and not it.request.failed and it.request.amount == there:
            return (
                f"the recharge waits for its answer: run `rater agents`, or `rater run --gateway URL`, so that the"
                f" gateway is asked about {it.reference}"
            )
        fits = len(it.reference) <= IDENTIFIER_LENGTH_MAX and not CONTROL_CHARACTERS.search(it.reference)
        if fits and it.request is None and there >= FUND_MIN and not there % MICROS_PER_UNIT:
            words = ["fund", it.tenant or "", format_micros(there), "--id", it.reference, *self._at()]
            return f"rater tenant {shlex.join(words)}{self._where}"
        return self._adjust(there, f"collected by the gateway as {it.reference}")

    def _refund(self) -> str:
        it = self._it
        there, here = it.there or 0, it.here or 0
        why = f"refunded by the gateway as {it.reference}"
        if not it.credited:
            return f"ask the gateway about {it.reference}: it refunded a payment that was never credited here"
        if there > here and it.lot is not None:
            words = ["refund", it.tenant or "", it.lot, format_micros(there - here), "--id", it.id]
            other = self._adjust(here - there, why)
            again = ""
            if there - here == it.paid:
                again = (
                    "; nothing, if it pays back a second payment that was never credited:"
                    " compare this file together with the one that has both payments"
                )
            return f"{self._say(words, why)} (if less is left of it: {other}{again})"
        if there > here:
            return self._adjust(here - there, why)
        mend = self._adjust(here - there, "not refunded")
        return f"ask the gateway about {it.reference}; if it was not refunded: {mend}"

    def _charge_back(self) -> str:
        it = self._it
        there, here = it.there or 0, it.here or 0
        if it.found is Found.TWICE:
            return f"ask the gateway about {it.reference}: charged back {len(it.rows)} times?"
        if it.found is Found.MISSING_HERE:
            if it.lot is None:
                return f"ask the gateway about {it.reference}: no payment of this reference is known here"
            if it.paid is not None and there >= it.paid:
                words = ["reverse-payment", it.tenant or "", it.lot, "--id", it.id]
                return self._say(words, "charged back")
            return self._adjust(-there, f"a part of {it.reference} was charged back")
        ask = f"ask the gateway about {it.reference}"
        if not there:
            return f"{ask}; if it was not charged back: {self._adjust(here, 'not charged back')}"
        mend = self._adjust(here - there, "charge-back of another amount")
        return f"{ask}; if {format_micros(there)} is right: {mend}"

    def _adjust(self, amount: int, why: str) -> str:
        words = ["adjust", self._it.tenant or "", format_micros(amount), "--id", self._it.id]
        return self._say(words, why)

    def _say(self, words: list[str], why: str) -> str:
        reason = ["--reason", why, "--by", self._by, "--yes"]
        return f"rater tenant {shlex.join([*words, *reason, *self._at()])}{self._where}"

    def _at(self) -> list[str]:
        """When the money moved; a command of now would let time pass in a store, which has no clock."""
        return [] if self._it.at is None else ["--at", self._it.at.isoformat().replace("+00:00", "Z")]
