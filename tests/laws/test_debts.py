"""The line of debts, held against a list that names the payer of every single micro-unit."""

from hypothesis import given
from hypothesis import strategies as st

from rater.core.debt import Debts, Part, forget, owe, pay, take_back

NOBODY, GONE = None, "gone"
LOTS = ("a", "b", "c")
_amounts = st.integers(min_value=1, max_value=9)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("owe"), _amounts),
        st.tuples(st.just("pay"), _amounts, st.sampled_from(LOTS)),
        st.tuples(st.just("take back"), st.integers(min_value=0, max_value=20)),
        st.tuples(st.just("forget"), st.sampled_from(LOTS)),
    ),
    max_size=30,
)


def payers(debts: Debts) -> list[str | None]:
    """Of every micro-unit of the line who paid it."""
    line: list[str | None] = [GONE] * debts.incurred
    for part in debts.parts:
        line[part.start : part.end] = [part.lot] * (part.end - part.start)
    return line


@given(_steps)
def test_who_paid_for_what(steps: list[tuple[str, int | str]]) -> None:
    """A12, A20: the oldest debt is paid first; a call takes back its own part, whoever paid it; no part is empty."""
    debts, line, calls = Debts(), list[str | None](), list[tuple[int, int]]()
    for step in steps:
        match step:
            case ("owe", int(amount)):
                calls.append((len(line), amount))
                line += [NOBODY] * amount
                debts = owe(debts, amount)
            case ("pay", int(amount), str(lot)):
                unpaid = [place for place, payer in enumerate(line) if payer is NOBODY][:amount]
                for place in unpaid:
                    line[place] = lot
                debts = pay(debts, len(unpaid), lot)
            case ("take back", int(which)) if calls:
                start, amount = calls.pop(which % len(calls))
                known = [payer for payer in line[start : start + amount] if payer != GONE]
                line[start : start + amount] = [GONE] * amount
                debts, parts = take_back(debts, start, amount)
                assert [part.lot for part in parts for _ in range(part.start, part.end)] == known
            case ("forget", str(lot)):
                line = [GONE if payer == lot else payer for payer in line]
                debts = forget(debts, frozenset({lot}))
        assert payers(debts) == line
        assert all(part.start < part.end for part in debts.parts)


def test_many_calls_in_debt_are_one_part() -> None:
    """A tenant that stays in debt for a thousand calls is no larger than one that owes for one."""
    debts = Debts()
    for _ in range(1_000):
        debts = owe(debts, 7)
    assert debts.parts == (Part(0, 7_000),)
