"""Whose licences a pool's total counts: rules 3, 4, 10, A9, A10; and names that no pool has.

Each user of MCOPSTN5 in the United States adds 120 minutes a month to one pool.
"""

import pytest

from tests.world import US, World, ada, at, pockets

POOL = "MCOPSTN5/US-PR"


def total(world: World, month: str) -> int:
    return world.pool(f"{POOL}/{month}")[1]


@pytest.mark.parametrize(
    ("held", "totals"),
    [
        ([("2025-02-05", "2025-02-10")], [120, 240, 120, 120, 120]),
        ([("2025-02-05", "2025-03-01")], [120, 240, 120, 120, 120]),
        ([("2025-02-05", "2025-03-01 00:00:01")], [120, 240, 240, 120, 120]),
        ([("2025-02-01", "2025-03-01")], [120, 240, 120, 120, 120]),
        ([("2025-02-01", "2025-02-28 23:59:59")], [120, 240, 120, 120, 120]),
        ([("2025-02-05", "2025-02-10"), ("2025-04-05", None)], [120, 240, 120, 240, 240]),
        ([("2025-02-05", "2025-02-10"), ("2025-02-20", "2025-02-25")], [120, 240, 120, 120, 120]),
        ([("2025-02-05", "2025-03-10"), ("2025-03-20", "2025-04-10")], [120, 240, 240, 240, 120]),
        ([("2025-02-05", "2025-03-10"), ("2025-03-20", None)], [120, 240, 240, 240, 240]),
        ([("2025-02-05", "2025-02-05 00:00:01"), ("2025-02-05 00:00:01", None)], [120, 240, 240, 240, 240]),
        ([(None, "2025-02-10"), ("2025-03-05", "2025-03-06")], [240, 240, 240, 120, 120]),
        ([(None, "2025-02-01")], [240, 120, 120, 120, 120]),
        ([("2025-05-05", None)], [120, 120, 120, 120, 240]),
    ],
)
def test_a_user_counts_once_in_each_month_of_holding_the_plan(
    held: list[tuple[str | None, str | None]], totals: list[int]
) -> None:
    """January to May 2025: ada holds the plan always, bob from and until these instants."""
    world = ada("MCOPSTN5").user("bob", "US")
    for since, until in held:
        world.assign("bob", "MCOPSTN5", since, until)
    world.tick("2025-06-01")
    assert [total(world, f"2025-{month:02}") for month in range(1, 6)] == totals


def test_another_licence_does_not_end_a_plan() -> None:
    """bob holds the plan from February on; that he gets a licence for credits in April changes no month."""
    world = ada("MCOPSTN5").user("bob", "US")
    world.assign("bob", "MCOPSTN5", "2025-02-05")
    world.assign("bob", "MCOPSTNPP", "2025-04-05")
    world.tick("2025-06-01")
    assert [total(world, f"2025-{month:02}") for month in range(1, 6)] == [120, 240, 240, 240, 240]


def test_removing_a_licence_removes_its_months() -> None:
    """bob's plan was to begin in April; it is taken back before."""
    world = ada("MCOPSTN5").user("bob", "US")
    world.assign("bob", "MCOPSTN5", "2025-03-01", effective_from=at("2025-04-05"))
    world.remove("bob", "MCOPSTN5", "2025-03-02")
    world.tick("2025-06-01")
    assert [total(world, month) for month in ("2025-03", "2025-04", "2025-05")] == [120, 120, 120]


def test_who_joins_in_the_month_adds_minutes_from_then_on() -> None:
    """A10: a call before sees 120 minutes, a call after 240, though no licence was assigned in between."""
    world = ada("MCOPSTN5").user("bob", "US")
    world.assign("bob", "MCOPSTN5", "2025-03-01", effective_from=at("2025-03-15"))
    first = world.call(US, 120 * 60, "2025-03-10")
    assert (first.segments[0].pool_total, pockets(first)) == (120, [("pool", 120)])
    assert world.events == ["pool.warning", "pool.exhausted"]
    second = world.call(US, 60, "2025-03-16")
    assert (second.segments[0].pool_total, pockets(second)) == (240, [("pool", 1)])
    assert world.pool(f"{POOL}/2025-03") == (121, 240)


def test_a_call_that_comes_late_sees_the_total_of_its_start() -> None:
    """A10: bob joined on the 15th; a call of the 14th may only use ada's 120 minutes."""
    world = ada("MCOPSTN5", "MCOPSTNPP").user("bob", "US")
    world.assign("bob", "MCOPSTN5", "2025-03-01", effective_from=at("2025-03-15"))
    world.call(US, 100 * 60, "2025-03-16")
    late = world.call(US, 30 * 60, "2025-03-14")
    assert (late.segments[0].pool_total, pockets(late)) == (120, [("pool", 20), ("credit", 10)])


@pytest.mark.parametrize(
    "name",
    [
        "",
        "2025-03",
        "MCOPSTN5/2025-03",
        "MCOPSTN5/US-PR/March",
        "MCOPSTN5/US-PR",
        "NO-SUCH-PLAN/US-PR/2025-03",
        "MCOPSTNPP/US-PR/2025-03",
        "MCOPSTN5/US-PR/domestic/2025-03",
        "MCOPSTN2/US-PR/2025-03",
        "MCOPSTN2/US-PR/sideways/2025-03",
        "MCOPSTN2/US-PR/domestic/more/2025-03",
    ],
)
def test_a_name_that_no_pool_has(name: str) -> None:
    """Rules 3, 8: plan and country, the side of a plan that has two, and the month."""
    world = ada("MCOPSTN5", "MCOPSTN2")
    assert world.engine.pool("contoso", name) is None


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("MCOPSTN5/US-PR/2025-03", (0, 120)),
        ("MCOPSTN2/US-PR/domestic/2025-03", (0, 3000)),
        ("MCOPSTN2/US-PR/international/2025-03", (0, 600)),
        ("MCOPSTN8/ada/2025-03", (0, 120)),
        ("MCOMEETADV/zone-a/2025-03", (0, 60)),
    ],
)
def test_a_name_that_a_pool_has(name: str, use: tuple[int, int]) -> None:
    """Each kind of pool."""
    world = ada("MCOPSTN5", "MCOPSTN2", "MCOPSTN8", conferencing_licenses=1)
    world.tick("2025-03-02")
    assert world.pool(name) == use


def test_licences_that_are_bought_in_the_month_add_dial_out_minutes() -> None:
    """Rule 29, A9: 60 minutes for each licence that the tenant had bought when the call started."""
    world = ada("MCOMEETADV", conferencing_licenses=1)
    first = world.call(US, 60, "2025-03-10", type="conf_out")
    world.configure("2025-03-11", audio_conferencing_licenses=3)
    second = world.call(US, 60, "2025-03-12", type="conf_out")
    late = world.call(US, 60, "2025-03-10 23:59:59", type="conf_out")
    at_once = world.call(US, 60, "2025-03-11", type="conf_out")
    assert [call.segments[0].pool_total for call in (first, second, late, at_once)] == [60, 180, 60, 180]
