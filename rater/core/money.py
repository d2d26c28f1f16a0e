"""Money as whole micro-units (1e-6) of one currency, and the only two ways to divide it.

A18 (integer micro-units in the ledger, two decimals half up in exports only)
and rule 45 / A1 (minutes round up).  Does not know exchange rates, nor anything that is
not an integer or a decimal string; a currency's decimals are given by the caller.
"""

import re
from functools import lru_cache

MICROS_PER_UNIT = 1_000_000
DECIMALS_MAX = 6
#: An amount that comes in (a purchase, a trigger, a recharge): a thousand million units.
AMOUNT_MICROS_MAX = 10**15
#: A price per minute and a connection fee: ten million units.  Currencies of small units need millions a minute.
PRICE_MICROS_MAX = 10**13
#: A balance, above or below zero.  With the longest call or the largest purchase on top it still fits 64 bits.
BALANCE_MICROS_MAX = 10**18
#: The longest call (366 days) at the highest price.
CHARGE_MICROS_MAX = PRICE_MICROS_MAX * (366 * 24 * 60 + 1)
#: What was written by the rater itself: charges, debits, balances.
LEDGER_MICROS_MAX = 2**63 - 1

_DECIMAL = re.compile(r"(-?)(\d{1,15})(?:\.(\d{1,18}))?", re.ASCII)


class MoneyError(ValueError):
    """Text that is not an exact amount; the message says what was expected."""


def parse_micros(text: str, limit: int = AMOUNT_MICROS_MAX) -> int:
    """Read a decimal string in major units ("74.948") as micro-units (74_948_000).

    Raises MoneyError for anything that is not a plain decimal, has more than six decimals
    (a seventh would have to be rounded, and money is never rounded silently), or is beyond the limit.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise MoneyError(f"expected a decimal amount such as 74.948, got {text[:40]!r}")
    sign, whole, fraction = match.group(1), match.group(2), (match.group(3) or "").rstrip("0")
    if len(fraction) > DECIMALS_MAX:
        raise MoneyError(f"expected at most {DECIMALS_MAX} decimals, got {text!r}")
    micros = int(whole) * MICROS_PER_UNIT + int(fraction.ljust(DECIMALS_MAX, "0"))
    if micros > limit:
        raise MoneyError(f"expected an amount up to {limit // MICROS_PER_UNIT}, got {text!r}{_named(limit)}")
    return -micros if sign else micros


def parse_price(text: str) -> int:
    """A price per minute or a connection fee as micro-units: 0 or more, up to PRICE_MICROS_MAX; else MoneyError."""
    micros = parse_micros(text, PRICE_MICROS_MAX)
    if micros < 0:
        raise MoneyError(f"expected 0 or more, got {text!r}")
    return micros


def parse_ledger(text: str) -> int:
    """A charge, debit or balance that the rater wrote: it may be larger than any amount that comes in."""
    return parse_micros(text, LEDGER_MICROS_MAX)


def _named(limit: int) -> str:
    names = {AMOUNT_MICROS_MAX: "AMOUNT_MICROS_MAX", PRICE_MICROS_MAX: "PRICE_MICROS_MAX"}
    return f" ({names[limit]})" if limit in names else ""


def format_micros(micros: int) -> str:
    """Write micro-units as the shortest decimal string in major units: 74_948_000 is "74.948"."""
    if micros < 0:
        return "-" + format_micros(-micros)
    fraction = micros % MICROS_PER_UNIT
    if not fraction:
        return str(micros // MICROS_PER_UNIT)
    return f"{micros // MICROS_PER_UNIT}.{fraction:06d}".rstrip("0")


#: The same two for amounts that recur, such as the charges of calls.
format_amount = lru_cache(maxsize=65536)(format_micros)
parse_amount = lru_cache(maxsize=65536)(parse_ledger)


def half_up(numerator: int, denominator: int) -> int:
    """Divide a non-negative amount and round half up: the one rounding of a call's charge."""
    return (2 * numerator + denominator) // (2 * denominator)


def round_to_cents(micros: int, exponent: int = 2) -> str:
    """As many decimals as the currency has, half up away from zero, for exports only (A18): -375_000 is "-0.38".

    `exponent` is 2 for most currencies, 0 for yen ("74"), 3 for Kuwaiti dinars ("73.750").
    """
    smallest = half_up(abs(micros), 10 ** (DECIMALS_MAX - exponent))
    whole, rest = divmod(smallest, 10**exponent)
    text = f"{whole}.{rest:0{exponent}d}" if exponent else str(whole)
    return "-" + text if micros < 0 and smallest else text


def ceil_div(numerator: int, denominator: int) -> int:
    """Divide and round up: 61 seconds are 2 minutes (A1)."""
    return -(-numerator // denominator)
