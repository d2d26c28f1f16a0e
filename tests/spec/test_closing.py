"""A tenant is closed: what scenario files cannot show of it."""

from rater.core.inputs import TenantClosed
from rater.core.limits import CALL_LOTS_MAX
from rater.core.outputs import Debit, ServiceState
from tests.world import HARARE, LONDON, T, World, ada, at


def states(world: World) -> list[tuple[str, str]]:
    """What switches got of the tenant in the last step."""
    return [
        (output.state, output.reason)
        for output in world.outputs
        if isinstance(output, ServiceState) and output.scope == "tenant"
    ]


def test_switches_see_that_a_tenant_is_closed_and_reopened() -> None:
    """The rule closing: service states say why; what moves the balance of a closed tenant changes none."""
    world = ada("MCOPSTNPP")
    world.close("2025-03-12")
    assert states(world) == [("closed", "tenant_closed")]
    world.adjust("5", "2025-03-13")
    assert (states(world), world.events) == ([], ["funds.adjusted", "closed.balance"])
    world.reopen("2025-03-14")
    assert states(world) == [("active", "tenant_reopened")]


def test_nobody_is_restricted_by_a_call_of_a_closed_tenant() -> None:
    """The rule closing: such a call is computed and not debited; once the tenant is open its users may call."""
    world = ada("MCOPSTNPP")
    world.close("2025-03-12")
    call = world.call(HARARE, 60, "2025-03-13 10:00")
    assert (call.charge, call.unfunded_charge, [anomaly.value for anomaly in call.anomalies]) == (
        "0",
        "0.2",
        ["tenant_closed"],
    )
    assert not world.account.restrictions.users


def test_a_reason_and_a_person_are_asked_for() -> None:
    """The rule closing: without them nobody could understand it later."""
    world = ada("MCOPSTNPP")
    for reason, by in (("", "kim"), ("ended", " ")):
        world.apply(TenantClosed(tenant=T, id="x", at=at("2025-03-12"), remainder="pay_out", reason=reason, by=by))
        assert world.refusals == ["malformed"]
    assert world.balance == "100"


def test_more_lots_than_one_record_names() -> None:
    """The rule closing: a tenant with many purchases is closed with several debits, each with its balance."""
    world = ada("MCOPSTNPP", funds=None)
    for number in range(CALL_LOTS_MAX + 1):
        world.fund("0.01", "2025-03-01", id=f"f{number}")
    world.close("2025-03-12")
    debits = [output for output in world.outputs if isinstance(output, Debit)]
    assert [(debit.amount, debit.balance) for debit in debits] == [("10", "0.01"), ("0.01", "0")]
    assert len({debit.id for debit in debits}) == 2
    world.call(LONDON, 60, "2025-03-11 10:00")
    assert world.account.balance < 0
