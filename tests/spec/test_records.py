"""Records and time: rating rules 68 to 73, A4, A10 to A13, A16 to A22."""

import json
from typing import Any

import msgspec
import orjson
import pytest

from rater.core.outputs import RatedCall, RejectedCdr
from rater.wire.codec import encode
from tests.world import HARARE, LONDON, US, World, ada, at, pockets


def test_the_usage_id_is_the_key() -> None:
    """Rule 68: two calls may share a Call ID; the same usage id is the same call."""
    world = ada("MCOPSTN1")
    world.call(US, 61, id="x", call_id="k")
    world.call(US, 61, id="y", call_id="k")
    assert world.cdr(US, 61, id="x", call_id="k") == "duplicate"
    assert world.pool("MCOPSTN1/US-PR/2025-03") == (4, 3000)


def test_the_month_of_the_start() -> None:
    """Rule 69, A4: the whole call belongs to the UTC month in which it started; it is never split."""
    world = ada("MCOPSTN1")
    call = world.call(US, 570, "2025-03-31 23:58:45")
    assert (call.period, call.minutes, call.late) == ("2025-03", 10, False)
    assert world.pool("MCOPSTN1/US-PR/2025-04") == (0, 3000)


def test_local_times_are_brought_to_utc() -> None:
    """Rule 69: 00:30 on 1 April in Berlin is still March in UTC."""
    world = ada("MCOPSTN1")
    world.raw(
        b'{"tenant":"contoso","usage_id":"x","type":"user_out","user":"ada","called":"+12065550100",'
        b'"answered_at":"2025-04-01T00:30:00+02:00","duration_s":60}'
    )
    (call,) = world.outputs
    assert isinstance(call, RatedCall)
    assert call.period == "2025-03"


@pytest.mark.parametrize(("received", "late"), [("2025-04-03 23:59:59", False), ("2025-04-04", True)])
def test_late_records(received: str, late: bool) -> None:
    """Rule 70, A12: a month stays open 72 hours; later it is rated against its own month and marked."""
    world = ada("MCOPSTN1")
    call = world.call(US, 60, "2025-03-30", received_at=at(received))
    assert (call.late, call.period) == (late, "2025-03")
    assert world.pool("MCOPSTN1/US-PR/2025-04") == (0, 3000)


def test_arrival_order_decides() -> None:
    """A11: the call that arrives when the pool is empty overflows, although it started earlier."""
    world = ada("MCOPSTN5", "MCOPSTNPP")
    world.call(US, 120 * 60, "2025-03-20")
    assert pockets(world.call(US, 60, "2025-03-02")) == [("credit", 1)]


def test_a_higher_version_corrects() -> None:
    """Rule 71, A12: everything of the old version is given back, then the new one is rated."""
    world = ada("MCOPSTN5", "MCOPSTNPP")
    world.call(US, 115 * 60, id="first")
    world.call(US, 600, id="z")
    assert world.balance == "99.95"
    call = world.call(US, 240, id="z", version=2)
    assert (call.outcome, call.corrects_version, pockets(call)) == ("corrected", 1, [("pool", 4)])
    assert world.debits == [("reversal", "-0.05")]
    assert (world.balance, world.pool("MCOPSTN5/US-PR/2025-03")) == ("100", (119, 120))
    assert world.cdr(US, 600, id="z") == "duplicate"


def test_calls_in_between_stay_as_they_were() -> None:
    """A12: a call that overflowed is not rated again because a correction freed minutes."""
    world = ada("MCOPSTN5", "MCOPSTNPP")
    world.call(US, 120 * 60, id="big")
    world.call(US, 60, id="between")
    world.call(US, 60, id="big", version=2)
    assert world.balance == "99.99"
    assert world.pool("MCOPSTN5/US-PR/2025-03") == (1, 120)


def test_refunds_go_where_they_came_from() -> None:
    """A12: money returns to its lots; an expired lot takes nothing, the newest live one takes it instead."""
    world = ada("MCOPSTNPP", funds=None)
    world.fund("1", "2024-03-20", id="old")
    world.fund("1", "2025-03-01", id="new")
    world.call(HARARE, 360, "2025-03-10", id="z")
    assert world.lots == [("new", "0.8")]
    world.call(HARARE, 300, "2025-03-10", id="z", version=2)
    assert world.lots == [("new", "1")]
    world.cdr(HARARE, 60, "2025-03-10", id="z", version=3, received_at=at("2025-03-25"))
    assert world.debits == [("reversal", "-1"), ("call", "0.2")]
    assert world.lots == [("new", "1.8")]


def test_a_refund_goes_to_the_purchase_that_paid_the_debt() -> None:
    """A12, A20: 1 from the first purchase, 0.2 owed; the second paid that, so it gets it back, not the newest."""
    world = ada("MCOPSTNPP", funds="1")
    world.call(HARARE, 360, "2025-03-10", id="z")
    assert world.balance == "-0.2"
    world.fund("5", "2025-03-11", id="second")
    world.fund("5", "2025-03-12", id="third")
    assert world.lots == [("second", "4.8"), ("third", "5")]
    world.cdr(HARARE, 0, "2025-03-10", id="z", version=2)
    assert world.lots == [("funds-1", "1"), ("second", "5"), ("third", "5")]


def test_a_refund_of_debt_that_nobody_paid() -> None:
    """A12, A20: it is no longer owed; what the call's purchase gets back pays for the other call."""
    world = ada("MCOPSTNPP", funds="1")
    world.call(HARARE, 360, "2025-03-10", id="x")
    world.call(HARARE, 360, "2025-03-10", id="y")
    assert world.balance == "-1.4"
    world.cdr(HARARE, 0, "2025-03-10", id="x", version=2)
    assert (world.balance, world.lots) == ("-0.2", [])
    world.fund("5", "2025-03-11", id="second")
    world.cdr(HARARE, 0, "2025-03-10", id="y", version=2)
    assert world.lots == [("funds-1", "1"), ("second", "5")]


def test_a_refund_of_debt_whose_payer_has_expired() -> None:
    """A12, A19: a purchase that has expired takes nothing back; the newest live one does."""
    world = ada("MCOPSTNPP", funds="1")
    world.call(HARARE, 360, "2025-03-10", id="z")
    world.fund("5", "2025-03-11", id="second")
    world.fund("5", "2026-03-01", id="third")
    world.tick("2026-03-12")
    assert world.lots == [("third", "5")]
    world.cdr(HARARE, 0, "2025-03-10", id="z", version=2, received_at=at("2026-03-12"))
    assert world.lots == [("third", "6.2")]


def test_a_refund_may_resume_service() -> None:
    """A12, A5: a correction that lifts the balance above zero resumes credits."""
    world = ada("MCOPSTNPP", funds="1")
    world.call(HARARE, 600, id="z")
    assert world.balance == "-1"
    world.call(HARARE, 60, id="z", version=2)
    assert (world.balance, world.events) == ("0.8", ["credits.resumed"])


def test_the_same_version_with_other_content() -> None:
    """A12: it is quarantined with its bytes, and changes nothing."""
    world = ada("MCOPSTN1")
    world.call(US, 61, id="x")
    assert world.cdr(US, 600, id="x") == "conflicting_duplicate"
    assert (world.events, world.refusals) == (["cdr.quarantined"], ["conflicting_duplicate"])
    assert world.pool("MCOPSTN1/US-PR/2025-03") == (2, 3000)


def test_when_it_was_received_is_not_content() -> None:
    """A12: the same record delivered again a day later is a duplicate."""
    world = ada("MCOPSTN1")
    world.call(US, 61, id="x", received_at=at("2025-03-10 11:00"))
    assert world.cdr(US, 61, id="x", received_at=at("2025-03-11 11:00")) == "duplicate"
    assert world.cdr(US, 61, id="x") == "duplicate"


@pytest.mark.parametrize("received", [None, at("2025-03-11 11:00")], ids=["at no time", "a day later"])
@pytest.mark.parametrize(
    "first", [{}, {"switch": "east", "switch_sequence": 7}], ids=["of no switch", "of a switch"]
)
def test_which_switch_wrote_it_under_which_number_is_not_content(first: dict[str, Any], received: Any) -> None:
    """A switch that sends a record again may number it anew, or begin to name itself: the call is the same."""
    world = ada("MCOPSTN1")
    world.call(US, 61, id="x", **first)
    for more in ({}, {"switch": "west"}, {"switch_sequence": 8}, {"switch": "west", "switch_sequence": 8}):
        assert world.cdr(US, 61, id="x", received_at=received, **more) == "duplicate"
    assert world.cdr(US, 62, id="x", received_at=received, **first) == "conflicting_duplicate"


def test_the_caller_is_never_the_destination() -> None:
    """A13: the price follows the called number; the calling one is only shown."""
    call = ada("MCOPSTNPP").call(HARARE, 60, calling=LONDON)
    assert (call.prefix, call.calling) == ("263", LONDON)


@pytest.mark.parametrize(
    ("called", "destination", "prefix"),
    [
        ("+44787123****", None, "447"),
        ("+49302301***", None, "49"),
        ("+21****", "Zimbabwe", "263"),
        ("+37****", "France - Mobile", "33"),
        ("+2***********", "Zimbabwe", "263"),
    ],
)
def test_hidden_digits(called: str, destination: str | None, prefix: str) -> None:
    """Rule 72: prefixes match the digits that are left, else the destination's name does."""
    assert ada("MCOPSTNPP").call(called, destination=destination).prefix == prefix


def test_not_connected() -> None:
    """Rule 73: no duration, or none given: no minutes, no fee, no charge."""
    call = ada("MCOPSTNPP").call("+448701234567", 0)
    assert (pockets(call), call.minutes, call.charge, call.connection_fee) == ([], 0, "0", "0")
    world = ada("MCOPSTNPP")
    record = {"tenant": "contoso", "usage_id": "c", "type": "user_out", "user": "ada", "called": HARARE}
    assert world.raw(json.dumps(record | {"answered_at": "2025-03-10T10:00:00Z"}).encode()) == "rated"
    assert world.balance == "100"


@pytest.mark.parametrize(("authorized", "minutes"), [(480, 8), (60, 1), (600, 9), (0, 0)])
def test_our_own_delay_is_not_billed(authorized: int, minutes: int) -> None:
    """A22: when the rater ordered the disconnect, at most the authorised minutes are billed; 485 s were 9."""
    assert ada("MCOPSTNPP").call(HARARE, 485, authorized_s=authorized).minutes == minutes


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"duration_s": -1}, "negative_duration"),
        ({"ended_at": "2025-03-10T09:00:00Z"}, "ends_before_start"),
        ({"ended_at": "2025-03-10T10:00:10Z"}, "impossible_duration"),
        ({"called": "2065550100"}, "not_e164"),
        ({"called": "+1206-555-O100"}, "not_e164"),
        ({"called": None}, "not_e164"),
        ({"calling": "12"}, "not_e164"),
        ({"currency": "EUR"}, "currency_mismatch"),
        ({"user": None}, "no_user"),
        ({"answered_at": "2025-03-10T10:00:00"}, "time_without_zone"),
        ({"answered_at": "yesterday"}, "malformed"),
        ({"duration_s": 1.5}, "malformed"),
        ({"duration_s": "60"}, "malformed"),
        ({"duration_s": 10**12}, "malformed"),
        ({"type": "user_sideways"}, "malformed"),
        ({"usage_id": ""}, "malformed"),
        ({"tenant": "nobody"}, "unknown_tenant"),
    ],
)
def test_records_that_are_refused(fields: dict[str, object], reason: str) -> None:
    """One reason each, the raw bytes kept, nothing changed; the same bytes twice are one letter."""
    world = ada("MCOPSTN1")
    record = {
        "tenant": "contoso",
        "usage_id": "x",
        "type": "user_out",
        "user": "ada",
        "called": US,
        "answered_at": "2025-03-10T10:00:00Z",
        "duration_s": 60,
    } | fields
    raw = orjson.dumps({name: value for name, value in record.items() if value is not None})
    assert world.raw(raw) == "rejected"
    (letter,) = world.outputs
    assert isinstance(letter, RejectedCdr)
    assert (letter.reason, letter.raw) == (reason, raw.decode())
    assert world.raw(raw) == "rejected"
    assert world.outputs == []
    assert (world.balance, world.pool("MCOPSTN1/US-PR/2025-03")) == ("100", (0, 3000))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "malformed"),
        (b"not json", "malformed"),
        (b"[]", "malformed"),
        (b'{"tenant":"contoso"', "malformed"),
        (b'\xff\xfe{"tenant"', "malformed"),
        (b'{"tenant":"contoso","usage_id":"x","duration_s":99999999999999999999999}', "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"tenant":"contoso","pad":"' + b"x" * 1_000_001 + b'"}', "too_large"),
        (
            b'{"tenant":"contoso","usage_id":"x","usage_id":"y","type":"user_in","answered_at":'
            b'"2025-03-10T10:00:00Z","duration_s":60,"user":"ada"}',
            "duplicate_key",
        ),
        (
            b'{"tenant":"contoso","usage_id":"x","type":"user_in","answered_at":"2025-03-10T10:00:00Z",'
            b'"duration_s":60,"duration\\u005fs":61,"user":"ada"}',
            "duplicate_key",
        ),
    ],
)
def test_bytes_that_are_no_record(raw: bytes, reason: str) -> None:
    """Broken JSON, invalid UTF-8, huge integers, deep nesting, 10 MB, a field twice."""
    world = ada("MCOPSTN1")
    assert world.raw(raw) == "rejected"
    assert world.refusals == [reason]


def test_unknown_fields_are_kept_out_of_rating() -> None:
    """Architecture "Contracts": an unknown field neither rejects the record nor changes its content."""
    world = ada("MCOPSTN1")
    record: dict[str, object] = {"tenant": "contoso", "usage_id": "x", "type": "user_out", "user": "ada"}
    record |= {"called": US, "answered_at": "2025-03-10T10:00:00Z", "duration_s": 60}
    assert world.raw(orjson.dumps(record)) == "rated"
    assert world.raw(orjson.dumps(record | {"trunk": "7"})) == "duplicate"


def test_an_unknown_user() -> None:
    """Rated as a user without licences, and flagged."""
    call = World().call(US, 60, user="stranger")
    assert (pockets(call), call.anomalies) == ([("unfunded", 1)], ("unknown_user",))


def test_a_rated_call_explains_itself() -> None:
    """Prefix, deck, rate, increments, segments with pocket, pool before and after, balance after."""
    world = ada("MCOPSTN5", "MCOPSTNPP")
    world.call(US, 118 * 60)
    call = world.call(US, 301)
    pool, credit = call.segments
    assert (call.deck, call.prefix, call.price_per_minute, call.increments) == ("deck-1", "1", "0.01", "60/60")
    assert (pool.pool, pool.pool_used_before, pool.pool_used_after, pool.pool_total) == (
        "MCOPSTN5/US-PR/2025-03",
        118,
        118 + 2,
        120,
    )
    assert ([(lot.lot, lot.amount) for lot in credit.lots], call.balance) == ([("funds-1", "0.04")], "99.96")
    assert msgspec.json.decode(encode(call), type=type(call)) == call


@pytest.mark.parametrize(
    ("field", "instant"),
    [
        ("answered_at", "9999-12-31T23:59:59Z"),
        ("answered_at", "0001-01-01T00:00:00+05:00"),
        ("ended_at", "9999-12-31T23:59:59-05:00"),
        ("received_at", "9999-12-31T23:59:59Z"),
        ("received_at", "2200-01-01T00:00:00Z"),
    ],
)
def test_years_that_cannot_be(field: str, instant: str) -> None:
    """Rule 69: an instant outside the calendar of calls is refused, not reckoned with."""
    world = ada("MCOPSTN1")
    record = {
        "tenant": "contoso", "usage_id": "x", "type": "user_out", "user": "ada", "called": US,
        "answered_at": "2025-03-10T10:00:00Z", "duration_s": 60,
    }  # fmt: skip
    assert world.raw(orjson.dumps(record | {field: instant})) == "rejected"
    assert world.refusals == ["impossible_time"]


@pytest.mark.parametrize("field", ["at", "effective_from", "effective_to"])
def test_commands_in_years_that_cannot_be(field: str) -> None:
    """Rule 14: a licence from the year 9999 on is refused."""
    world = ada("MCOPSTN1")
    command = {
        "command": "license_assigned", "tenant": "contoso", "id": "l", "user": "bob", "sku": "MCOPSTN1",
        "country": "US", "at": "2025-03-10T10:00:00Z",
    }  # fmt: skip
    world.engine.submit("command", orjson.dumps(command | {field: "9999-12-31T23:59:59Z"}))
    outcome, outputs = world.engine.submit("command", orjson.dumps(command))
    assert (outcome, len(outputs)) == ("rated", 1)


def test_a_duplicate_passes_time() -> None:
    """README "Any step's time": what expires before a duplicate arrives is forfeited, and nothing else happens."""
    world = World(funds=None).user("ada", "US", "MCOPSTN1", "MCOPSTNPP")
    world.fund("7", "2024-03-20", id="old")
    first: dict[str, Any] = {"id": "c1", "when": "2025-03-10 10:00"}
    world.cdr(US, 60, **first, received_at=at("2025-03-10 10:02"))
    assert world.cdr(US, 60, **first, received_at=at("2025-03-21 10:02")).value == "duplicate"
    assert (world.events, world.balance) == (["funds.expired", "balance.depleted", "credits.suspended"], "0")
    assert world.pool("MCOPSTN1/US-PR/2025-03")[0] == 1
