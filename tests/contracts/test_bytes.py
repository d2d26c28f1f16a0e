"""The bytes of outputs, as version 0.3.0 wrote them: what is equal to a default is left out by its value.

Which fields are written may not depend on whether two equal values are one object: another Python or msgspec would
write other bytes for the same outputs.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, get_args

import msgspec
import pytest
from msgspec.structs import fields as fields_of

from rater.core.inputs import AnyCommand, FundsAdded, PaymentFailed, RateRow, RechargeSettings, Source
from rater.core.outputs import TOPIC_OF, LotShare, LotState, Output, Segment
from rater.core.reasons import Reason, Refusal
from rater.core.settings import RatingSettings
from rater.core.state import KINDS, Memory
from rater.core.step import Rules
from rater.core.tariff import Tariffs
from rater.dev.charge_log import Charge
from rater.engine.batch import Envelope, Record, run_batch
from rater.files.deck_csv import read_deck
from rater.wire.codec import encode
from rater.wire.schemas import RECORDS
from tests.conftest import ROOT
from tests.upgrade.release import RELEASE
from tests.world import GB_SPECIAL, HARARE, LONDON, NOWHERE, US, World

#: For each story below a line `# its name`, then every output that it causes, one a line.
FIXTURE = ROOT / "tests" / "fixtures" / "outputs-0.3.0.jsonl"
#: Of the deck that 0.3.0 put in the store of its fixture.
RELEASED_VERSION = "5d09aea35a09"


class Recorded(World):
    """A world that keeps the bytes of every output, its setup's included."""

    def _submit(self, kind: str, raw: bytes, arrived: str | None = None) -> list[str]:
        events = super()._submit(kind, raw, arrived)
        self.lines = [*getattr(self, "lines", ()), *[encode(output).decode() for output in self.outputs]]
        return events


def free_call() -> Recorded:
    """An internal call: nobody pays."""
    world = Recorded().user("ada", "US", "MCOPSTN2")
    world.call(US, type="internal")
    return world


def call_with_a_price_of_zero() -> Recorded:
    """The deck says that it costs nothing: priced all the same."""
    world = Recorded().user("ada", "US", "MCOPSTNPP")
    world.call("+448001234567", 61)
    return world


def emergency_call() -> Recorded:
    """911 is free, whoever calls it."""
    world = Recorded().user("ada", "US", "MCOPSTN1")
    world.call("911", 300)
    return world


def call_that_was_not_connected() -> Recorded:
    """No second, no minute, no charge."""
    world = Recorded().user("ada", "US", "MCOPSTN2")
    world.call(US, 0)
    return world


def pool_call() -> Recorded:
    """Minutes of a pool."""
    world = Recorded().user("ada", "US", "MCOPSTN1")
    world.call(US, 61)
    return world


def call_without_fee() -> Recorded:
    """Paid from credit, by the minute alone."""
    world = Recorded().user("ada", "US", "MCOPSTNPP")
    world.call(LONDON, 61)
    return world


def call_with_fee() -> Recorded:
    """Paid from credit, with a connection fee."""
    world = Recorded().user("ada", "US", "MCOPSTNPP")
    world.call(HARARE, 61)
    world.call(GB_SPECIAL, 61)
    return world


def unfunded_call() -> Recorded:
    """Priced, and nobody may pay for it: the user is restricted, and allowed again at the start of the month."""
    world = Recorded(credits="not_set_up", funds=None).user("ada", "US", "MCOPSTN1")
    world.call(LONDON, 61)
    world.tick("2025-04-01")
    return world


def call_without_a_rate() -> Recorded:
    """No row of the deck fits: free, with an anomaly."""
    world = Recorded().user("ada", "US", "MCOPSTNPP")
    world.call(NOWHERE)
    return world


def call_of_several_lots_and_debt() -> Recorded:
    """Two purchases and a debt pay one call; a correction gives it back; the next purchase pays what is owed."""
    world = Recorded(funds="0.1").user("ada", "US", "MCOPSTNPP")
    world.fund("0.2", "2025-03-02", id="second")
    world.call(HARARE, 600, id="long")
    world.fund("5", "2025-03-11", id="third")
    world.cdr(HARARE, 60, "2025-03-10 10:00", id="long", version=2)
    return world


def expiry() -> Recorded:
    """What is left after twelve months is forfeited."""
    world = Recorded(funds="12.5").user("ada", "US", "MCOPSTNPP")
    world.tick("2026-03-01 00:00:00")
    return world


def recharge() -> Recorded:
    """A recharge is asked for, fails, is asked for again and is paid."""
    world = Recorded(funds="1", recharge=("5", "20")).user("ada", "US", "MCOPSTNPP")
    world.call(LONDON, 61)
    world.declined("2025-03-10 11:00")
    world.tick("2025-03-10 12:00")
    world.paid("2025-03-10 12:30")
    return world


STORIES: tuple[Callable[[], Recorded], ...] = (
    free_call,
    call_with_a_price_of_zero,
    emergency_call,
    call_that_was_not_connected,
    pool_call,
    call_without_fee,
    call_with_fee,
    unfunded_call,
    call_without_a_rate,
    call_of_several_lots_and_debt,
    expiry,
    recharge,
)


def written() -> dict[str, list[str]]:
    """What the fixture says."""
    stories: dict[str, list[str]] = {}
    for line in FIXTURE.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            stories[line[2:]] = lines = []
        else:
            lines.append(line)
    return stories


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_every_output_has_the_bytes_that_version_0_3_0_wrote(story: Callable[[], Recorded]) -> None:
    """Field for field, in its order: what is written, and what is left out because it is the default."""
    assert story().lines == written()[story.__name__]


def refused_records() -> list[Output]:
    """Letters of each kind: of our own records, of a file with a header, cut, and with a header that is cut."""
    letters: list[Output] = []
    for envelope, raw in (
        (None, b"nonsense"),
        (Envelope("cdrs", "contoso"), b"replayed"),
        (Envelope("pstn-csv", "contoso", "UsageId,..."), b"a,b"),
        (Envelope("pstn-csv", "contoso", "x" * 50_000), b"c" * 200_000),
    ):
        refused = Refusal(Reason.MALFORMED, "", "expected something else")
        record = Record("cdr", Source("calls", 0, 1), raw, refused, envelope)
        letters += run_batch(Memory(), Rules(RatingSettings(), Tariffs()), [record]).outputs
    return letters


def everything() -> list[Output]:
    """Every output of every story, and refused records."""
    found: list[Output] = []
    for story in STORIES:
        world = story()
        for line in world.lines:
            fields = set(msgspec.json.decode(line))
            kind = next(
                kind for kind in TOPIC_OF if {field.name for field in fields_of(kind) if field.required} <= fields
            )
            found.append(msgspec.json.decode(line, type=kind))
            assert encode(found[-1]).decode() == line
    return [*found, *refused_records()]


def fresh(value: Any) -> Any:
    """A copy of which every text is an object of its own."""
    if type(value) is str:
        return msgspec.json.decode(msgspec.json.encode(value))
    if isinstance(value, tuple):
        return tuple(map(fresh, value))
    if isinstance(value, msgspec.Struct):
        return type(value)(**{field.name: fresh(getattr(value, field.name)) for field in fields_of(type(value))})
    return value


def test_bytes_do_not_depend_on_which_object_a_text_is() -> None:
    """Every kind of output: read and written again, and copied text by text, it has the same bytes."""
    outputs = everything()
    assert {type(output) for output in outputs} == set(TOPIC_OF)
    for output in outputs:
        once = encode(output)
        assert encode(msgspec.json.decode(once, type=type(output))) == once
        assert encode(fresh(output)) == once


def test_no_text_is_left_out_for_being_the_default() -> None:
    """Every record that is published or kept: a default is None, UNSET, a truth value, a small number or no items."""
    kinds: list[type[msgspec.Struct]] = [kind for _, kind in RECORDS.values() if isinstance(kind, type)]
    kinds += [
        *get_args(AnyCommand),
        *KINDS.values(),
        Charge,
        RechargeSettings,
        RateRow,
        LotShare,
        LotState,
        Segment,
    ]
    for kind in kinds:
        if kind.__struct_config__.omit_defaults:
            for field in fields_of(kind):
                default = field.default
                if isinstance(default, int):
                    assert -5 <= default <= 256, (kind, field.name)
                elif not isinstance(default, Enum):
                    assert not isinstance(default, str | bytes | float), (kind, field.name)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (b'{"command":"funds_added","tenant":"t","id":"i","at":"2025-03-01T00:00:00Z","amount":"1"%b}', FundsAdded),
        (b'{"command":"payment_failed","tenant":"t","id":"i","at":"2025-03-01T00:00:00Z"%b}', PaymentFailed),
        (
            b'{"direction":"outbound","prefix":"1","destination":"d","type":"mobile","price_per_minute":"0"%b}',
            RateRow,
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_inputs_are_written_as_they_were_given(given: bytes, kind: Any) -> None:
    """A text that says what its absence means is written, and nothing is where nothing was."""
    said = {
        FundsAdded: b',"source":"manual"',
        PaymentFailed: b',"reason":"declined"',
        RateRow: b',"connection_fee":"0"',
    }
    for text in (given % b"", given % said[kind]):
        value = msgspec.json.decode(text, type=kind)
        assert msgspec.json.encode(value) == msgspec.json.encode(fresh(value)) == text


def test_the_version_of_a_deck_does_not_depend_on_which_object_a_zero_is() -> None:
    """0.3.0 gave the deck of its fixture this version: its fees of 0 were left out of the hash."""
    deck = read_deck(RELEASE / "inputs" / "deck.csv")
    assert deck.version == RELEASED_VERSION
    assert read_deck(RELEASE / "inputs" / "deck.csv", currency="EUR").version != deck.version
    assert [row.connection_fee for row in deck.rows if row.connection_fee == "0"] == []


def test_every_story_is_pinned() -> None:
    """None is in the fixture alone, and none is missing there."""
    assert list(written()) == [story.__name__ for story in STORIES]
