"""What mediation leaves out for nearly every record changes nothing: hypothesis looks for a record where it would."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from rater.core.classify import OUTBOUND
from rater.core.inputs import CallRecord
from rater.core.mediation import canonical_json, mediate
from rater.core.numbers import dialled
from rater.core.reasons import CallType
from rater.core.record_checks import impossible, unreadable
from tests.world import at

START = at("2025-03-01")
#: As switches write them: plain, hidden, in a URI, an address, withheld, for help, too short, too long, of no digits.
NUMBERS = (
    "+12065550100", "+1206555****", "tel:+1-206-555-0100", "sip:ada@contoso.example", "sip:112@x.example", "anonymous",
    "112", "+1", "+12", "+0123", "+1234567890123456", "12065550100", "nobody", "",
)  # fmt: skip
numbers = st.none() | st.sampled_from(NUMBERS) | st.from_regex(r"\+?[0-9]{1,17}\*{0,4}\n?", fullmatch=True)


@st.composite
def records(draw: st.DrawFn) -> CallRecord:
    """A record of any type; more often than in life something in it cannot be."""
    ended_s = draw(st.none() | st.integers(-10, 200))
    return CallRecord(
        tenant="contoso",
        usage_id="call-1",
        type=draw(st.sampled_from(CallType)),
        answered_at=START,
        duration_s=draw(st.integers(-2, 200)),
        user=draw(st.sampled_from([None, "ada", " ", "Ada "])),
        calling=draw(numbers),
        called=draw(numbers),
        ended_at=None if ended_s is None else START + timedelta(seconds=ended_s),
    )


@given(records())
def test_what_looks_right_at_once_is_right(record: CallRecord) -> None:
    """Mediation finds what the checks find, and the digits that reading the number gives, also where it skips both."""
    call = mediate(record, canonical_json(record))
    cdr = call.cdr
    assert call.impossible == impossible(cdr, START + timedelta(seconds=cdr.duration_s))
    assert call.unreadable == unreadable(cdr)
    assert call.dialled == (dialled(cdr.called) if cdr.called is not None and cdr.type in OUTBOUND else None)
