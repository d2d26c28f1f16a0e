"""What a step caused, held against what its scenario expects: one readable line for each difference."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from rater.core import (
    Account,
    AccountEvent,
    Debit,
    Outcome,
    Output,
    RatedCall,
    RejectedCdr,
    ServiceState,
    format_micros,
    parse_ledger,
    service_of,
    shown_lots,
)
from rater.dev.scenarios.engine import Engine
from rater.dev.scenarios.model import EXPECTED_EVENTS, Expect, ExpectedSegment


class Caused(msgspec.Struct, frozen=True):
    """What one step caused."""

    outcome: Outcome
    outputs: list[Output]
    engine: Engine
    tenant: str
    #: What the scenario calls a recharge and its lot, by the id that the rater gave it.
    recharge_names: Mapping[str, str] = {}

    @property
    def call(self) -> RatedCall | None:
        """The rated call of the step, if there is one."""
        return next((output for output in self.outputs if isinstance(output, RatedCall)), None)

    @property
    def no_call(self) -> str:
        """What stands for a part of the rated call when there is none."""
        return f"no rated call ({self.refused or self.outcome.value})"

    @property
    def refused(self) -> str | None:
        """Why the record was refused, if it was."""
        letter = next((output for output in self.outputs if isinstance(output, RejectedCdr)), None)
        if letter is None:
            return None
        return ": ".join(part for part in (letter.reason.value, letter.field, letter.message) if part)

    @property
    def account(self) -> Account:
        """The tenant after the step."""
        return self.engine.account(self.tenant)


def differences(expect: Expect, caused: Caused) -> Iterator[str]:
    """Each named expectation that is not met: `balance: expected 74.948, got 75`."""
    for key in Expect.model_fields:
        if key not in expect.model_fields_set:
            continue
        if key == "pools":
            yield from _pool_differences(expect, caused)
            continue
        expected, got = _EXPECTATIONS[key](expect, caused)
        if expected != got:
            yield f"{key}: expected {_show(expected)}, got {_show(got)}"


def _money(text: str | None) -> str | None:
    return None if text is None else format_micros(parse_ledger(text))


def _of_call(key: str) -> Callable[[Expect, Caused], tuple[Any, Any]]:
    """An expectation that is a field of the rated call."""

    def pair(expect: Expect, caused: Caused) -> tuple[Any, Any]:
        return getattr(expect, key), caused.no_call if caused.call is None else getattr(caused.call, key)

    return pair


def _amount_of_call(key: str) -> Callable[[Expect, Caused], tuple[Any, Any]]:
    """An amount of the rated call; what was not rated, such as a duplicate, costs nothing."""

    def pair(expect: Expect, caused: Caused) -> tuple[Any, Any]:
        return _money(getattr(expect, key)), "0" if caused.call is None else _money(getattr(caused.call, key))

    return pair


def _reason(expect: Expect, caused: Caused) -> tuple[Any, Any]:
    letters = [output.reason.value for output in caused.outputs if isinstance(output, RejectedCdr)]
    return expect.reason, letters[0] if letters else "no rejection"


def _segments(expect: Expect, caused: Caused) -> tuple[Any, Any]:
    expected = expect.segments or ()
    if caused.call is None:
        return [_named(segment, None) for segment in expected], caused.no_call
    got = caused.call.segments
    padded = [*expected, *[None] * (len(got) - len(expected))]
    return (
        [_named(segment, None) for segment in expected],
        [_named(segment, padded[index]) for index, segment in enumerate(got)],
    )


def _named(segment: Any, like: ExpectedSegment | None) -> dict[str, Any]:
    """The parts of a segment that are compared: those that the expectation names."""
    named = like.model_fields_set if like else getattr(segment, "model_fields_set", {"pocket", "minutes", "charge"})
    parts = {"pocket": segment.pocket.value, "minutes": segment.minutes, "charge": _money(segment.charge or "0")}
    return {key: value for key, value in parts.items() if key in named}


def _lots(expect: Expect, caused: Caused) -> tuple[Any, Any]:
    expected = [{"id": lot.id, "remaining": _money(lot.remaining)} for lot in expect.lots or ()]
    live = sorted(shown_lots(caused.account), key=lambda lot: (lot.purchased_at, lot.number))
    names = caused.recharge_names
    return expected, [
        {"id": names.get(lot.lot, lot.lot), "remaining": format_micros(lot.remaining)} for lot in live
    ]


def _events(expect: Expect, caused: Caused) -> tuple[Any, Any]:
    got = [output.event.value for output in caused.outputs if isinstance(output, AccountEvent)]
    return list(expect.events or ()), [event for event in got if event in EXPECTED_EVENTS]


def _debits(expect: Expect, caused: Caused) -> tuple[Any, Any]:
    expected = [{"amount": _money(debit.amount), "kind": debit.kind.value} for debit in expect.debits or ()]
    got = [output for output in caused.outputs if isinstance(output, Debit)]
    return expected, [{"amount": _money(debit.amount), "kind": debit.kind.value} for debit in got]


def _brakes(expect: Expect, caused: Caused) -> tuple[Any, Any]:
    """Service states of brakes; the parts that the expectation names."""
    got = [output for output in caused.outputs if isinstance(output, ServiceState) and output.scope == "brake"]
    expected = [one.model_dump(exclude_unset=True) for one in expect.brakes or ()]
    padded = [*expected, *[{"brake": "", "state": ""}] * (len(got) - len(expected))]
    return expected, [{key: getattr(one, key) for key in padded[index]} for index, one in enumerate(got)]


def _over_brakes(expect: Expect, caused: Caused) -> tuple[Any, Any]:
    """Brakes that would have stopped the call."""
    call = caused.call
    got: Any = caused.no_call if call is None else [one.brake for one in call.brakes if one.over]
    return list(expect.over_brakes or ()), got


def _balance(expect: Expect, caused: Caused) -> tuple[Any, Any]:
    return _money(expect.balance), format_micros(caused.account.balance)


def _service(expect: Expect, caused: Caused) -> tuple[Any, Any]:
    return expect.call_credit_services, service_of(caused.account)


def _outcome(expect: Expect, caused: Caused) -> tuple[Any, Any]:
    return expect.outcome.value if expect.outcome else None, caused.outcome.value


def _pool_differences(expect: Expect, caused: Caused) -> Iterator[str]:
    for name, expected in (expect.pools or {}).items():
        got = caused.engine.pool(caused.tenant, name)
        if got is None:
            yield f"pools[{name}]: no pool can have this name; expected PLAN/COUNTRY/YYYY-MM"
            continue
        for part in expected.model_fields_set:
            if getattr(expected, part) != getattr(got, part):
                yield f"pools[{name}].{part}: expected {getattr(expected, part)}, got {getattr(got, part)}"


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_show(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_show, value)) + "]"
    return "nothing" if value is None else str(value)


_EXPECTATIONS: dict[str, Callable[[Expect, Caused], tuple[Any, Any]]] = {
    "outcome": _outcome,
    "reason": _reason,
    "minutes": _of_call("minutes"),
    "segments": _segments,
    "charge": _amount_of_call("charge"),
    "unfunded_charge": _amount_of_call("unfunded_charge"),
    "capability": _of_call("capability"),
    "period": _of_call("period"),
    "late": _of_call("late"),
    "balance": _balance,
    "lots": _lots,
    "events": _events,
    "debits": _debits,
    "brakes": _brakes,
    "over_brakes": _over_brakes,
    "call_credit_services": _service,
}
