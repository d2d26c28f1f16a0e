"""In which order a record is checked: unreadable, number, time, duplicate or conflict, length (A39, A43, A44).

Each record is wrong in the way that is named and in every way that is checked later; the first one is reported.
"""

import json

import pytest

from rater.core.inputs import CallAccepted
from rater.core.outputs import RejectedCdr
from tests.world import LONDON, US, T, World, ada, at

#: Rated by an earlier record, so that other content under it is a conflict.
TAKEN = "taken"


def after_a_call() -> World:
    """A world with one user, one of whose calls was rated."""
    world = ada("MCOPSTN1")
    world.cdr(US, 60, id=TAKEN)
    return world


@pytest.mark.parametrize(
    ("called", "when", "id", "reason"),
    [
        ("12065550100", "2030-01-01", TAKEN, "not_e164"),
        (US, "2030-01-01", TAKEN, "impossible_time"),
        (US, "2025-03-10", TAKEN, "conflicting_duplicate"),
        (US, "2025-03-10", "new", "implausible_duration"),
    ],
)
def test_the_first_check_that_fails_gives_the_reason(called: str, when: str, id: str, reason: str) -> None:
    """A39, A43, A44: all of these last 100,000 s and arrive on 11 March 2025."""
    world = after_a_call()
    world.cdr(called, 100_000, when, id=id, arrived="2025-03-11")
    assert world.refusals == [reason]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (b'"called":"12065550100","duration_s":100000,"answered_at":"2030-01-01T00:00:00"', "time_without_zone"),
        (b'"called":"12065550100","duration_s":"100000","answered_at":"2030-01-01T00:00:00Z"', "malformed"),
        (b'"called":"1206","called":"1206","duration_s":100000,"answered_at":"2030-01-01T00:00:00Z"', "duplicate_key"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_reported_first(wrong: bytes, reason: str) -> None:
    """A39, A43, A44: no number, no time and no length is checked in a record that is no call."""
    world = after_a_call()
    world.raw(b'{"tenant":"contoso","usage_id":"taken","type":"user_out","user":"ada",' + wrong + b"}")
    assert world.refusals == [reason]


@pytest.mark.parametrize("version", [1, 2])
def test_a_duplicate_whose_time_cannot_be_is_no_duplicate(version: int) -> None:
    """A43: the time is looked at before the look for duplicates, in a lower version, too."""
    world = after_a_call()
    world.cdr(US, 60, id=TAKEN, version=2)
    world.cdr(US, 60, id=TAKEN, version=version, received_at=at("2025-03-08"))
    assert world.refusals == ["impossible_time"]


def test_a_lower_version_is_a_duplicate_however_long() -> None:
    """A44: the length is looked at last."""
    world = after_a_call()
    world.cdr(LONDON, 60, id=TAKEN, version=3)
    assert world.cdr(US, 100_000, id=TAKEN, version=2) == "duplicate"


@pytest.mark.parametrize(
    ("type", "called", "user"),
    [
        ("user_in", US, "ada"),
        ("conf_in", US, "ada"),
        ("conf_out", US, "ada"),
        ("ucap_in", US, None),
        ("ucap_out", US, "ada"),
        ("user_out_transfer", US, "ada"),
        ("internal", None, "ada"),
        ("dr_out", US, "ada"),
        ("dr_emergency_out", "911", "ada"),
        ("oc_user_in", US, "ada"),
        ("unassigned_in", US, None),
        ("byotout", US, "ada"),
    ],
)
def test_calls_of_every_type_can_be_held(type: str, called: str | None, user: str | None) -> None:
    """A44: by their seconds; also those that would be free."""
    world = after_a_call()
    assert world.cdr(called, 43_200, type=type, user=user) == "rated"
    world.cdr(called, 43_201, type=type, user=user)
    assert world.refusals == ["implausible_duration"]


@pytest.mark.parametrize(
    ("called", "type", "said"),
    [
        ("911", "user_out", None),
        ("+911", "conf_out", None),
        ("tel:112", "ucap_out", None),
        ("sip:112@sbc.example", "user_out_forwarding", None),
        ("+1911", "user_out_conf", None),
        (US, "user_out", True),
    ],
)
def test_calls_for_help_are_never_held(called: str, type: str, said: bool | None) -> None:
    """A38, A44: whatever the number looks like, or because the record says that the call was one."""
    call = after_a_call().call(called, 100_000, type=type, emergency=said)
    assert (call.rule, call.minutes, call.charge) == ("23 emergency", 1667, "0")


def test_a_call_for_help_whose_time_cannot_be_is_rejected() -> None:
    """A43: it is free, but it moves the tenant's clock as any other."""
    world = after_a_call()
    world.cdr("911", 60, "2035-01-01", arrived="2025-03-11")
    assert (world.refusals, world.account.clock) == (["impossible_time"], at("2025-03-10 10:01"))


def test_a_held_correction_is_let_through() -> None:
    """A44: version 1 stays until a person accepts version 2; then it is corrected, once."""
    world = after_a_call()
    world.cdr(US, 100_000, id=TAKEN, version=2)
    assert world.pool("MCOPSTN1/US-PR/2025-03") == (1, 3000)
    world.accept("2025-03-11")
    assert world.outcome == "corrected"
    assert world.pool("MCOPSTN1/US-PR/2025-03") == (1667, 3000)
    assert world.raw(world.sent) == "duplicate"


def test_an_acceptance_among_call_records_accepts_nothing() -> None:
    """A44, A48: commands are accepted by the inputs for commands only, also here."""
    world = after_a_call()
    world.cdr(US, 100_000)
    (letter,) = [output.id for output in world.outputs]
    held = world.sent
    accept = (
        f'{{"command":"call_accepted","tenant":"contoso","id":"x","at":"2025-03-12T00:00:00Z","letter":"{letter}"}}'
    )
    world.raw(accept.encode())
    assert world.refusals == ["not_a_call_record"]
    assert world.raw(held) == "rejected"


@pytest.mark.parametrize("name", ["funds_added", "tick", "call_accepted"])
def test_a_command_with_a_usage_id_among_call_records_is_a_command(name: str) -> None:
    """A48: it cannot pass for a broken record of a call, which would be replayed where commands are applied."""
    world = after_a_call()
    command = {"command": name, "tenant": "contoso", "id": "x", "usage_id": "x", "at": "2025-03-12T00:00:00Z"}
    world.raw(json.dumps(command | {"amount": "999", "letter": "x"}).encode())
    assert world.refusals == ["not_a_call_record"]


def test_a_record_of_a_call_may_have_a_field_named_command() -> None:
    """This field is unknown; where the record is broken, the reason says what is broken."""
    world = after_a_call()
    world.raw(b'{"command":"dial","tenant":"contoso","usage_id":"x","type":"user_out"}')
    assert world.refusals == ["malformed"]
    assert [output.field for output in world.outputs if isinstance(output, RejectedCdr)] == ["answered_at"]


@pytest.mark.parametrize("seconds", [31_622_401, 10**18, 10**30])
def test_a_duration_over_a_year_names_the_limit(seconds: int) -> None:
    """DURATION_S_MAX is 366 days; what no integer holds is refused in the same way."""
    world = after_a_call()
    call = (
        '{"tenant":"contoso","usage_id":"x","type":"user_out","answered_at":"2025-03-10T10:00:00Z","duration_s":%d}'
    )
    world.raw((call % seconds).encode())
    assert world.refusals == ["malformed"]
    (letter,) = [output for output in world.outputs if isinstance(output, RejectedCdr)]
    assert (letter.field, "31622400 (DURATION_S_MAX, 366 days), got" in letter.message) == ("duration_s", True)


@pytest.mark.parametrize(("called", "arrived"), [("12065550100", "2025-03-11"), (US, "2025-03-01")])
def test_what_was_refused_for_its_number_or_time_is_not_let_through(called: str, arrived: str) -> None:
    """A44: a person accepts a length; neither a number nor a time."""
    world = after_a_call()
    world.cdr(called, 100_000, arrived=arrived)
    (letter,) = [output.id for output in world.outputs]
    world.apply(CallAccepted(tenant=T, id="x", at=at("2025-03-12"), letter=letter))
    assert world.refusals == ["unknown_letter"]
