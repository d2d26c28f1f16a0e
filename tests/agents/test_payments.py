"""What is in flight is asked for until it is answered, and nothing else."""

import asyncio
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from rater.agents import tenants as tenants_module
from rater.agents.payments.answers import Cause, GatewayAnswer, Pending, Unknown
from rater.agents.recharges import Payments
from rater.agents.settings import AgentsSettings
from rater.agents.tenants import Tenants
from rater.core.inputs import PaymentFailed, PaymentSucceeded
from rater.core.outputs import Output, RechargeRequest
from rater.engine.gateway import failed, succeeded
from rater.kafka.publisher import NotStored
from rater.ops.metrics.meter import Metrics
from tests.agents.world import Clock, balance, consumed, request, service
from tests.world import at

SETTINGS = AgentsSettings(ask_again_initial_s=2, ask_again_max_s=8, others_after_s=60, asking_max=2)


def unknown(asked: RechargeRequest) -> GatewayAnswer:
    return Unknown(asked.tenant, asked.id, Cause.TIMED_OUT, "no answer")


class Paying:
    """Payments between a gateway that answers what a test sets, and a list of what was published."""

    def __init__(self, answer: Callable[[RechargeRequest], GatewayAnswer] = unknown, *, ours: bool = True) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.tenants = Tenants(self.metrics)
        self.clock = Clock()
        self.answer = answer
        self.asked: list[str] = []
        self.published: list[PaymentSucceeded | PaymentFailed] = []
        self.stored = True
        self.payments = Payments(self.tenants, self._collect, self._publish, lambda _: ours, SETTINGS, self.clock)

    def feed(self, *outputs: Output) -> None:
        for output in outputs:
            topic = "recharges" if isinstance(output, RechargeRequest) else "balances"
            self.tenants.apply(consumed(topic, output))

    async def look(self, *after_s: float) -> None:
        """Sweep after each of these waits, and let what was begun end."""
        for seconds in after_s:
            self.clock.seconds += seconds
            self.payments.sweep()
            await self._idle()

    async def _idle(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others)

    async def _collect(self, asked: RechargeRequest) -> GatewayAnswer:
        self.asked.append(asked.id)
        return self.answer(asked)

    async def _publish(self, command: PaymentSucceeded | PaymentFailed) -> None:
        if not self.stored:
            raise NotStored("commands", OSError("down"))
        self.published.append(command)


IN_FLIGHT = balance(recharge_in_flight="r1")


def test_an_unknown_outcome_is_asked_again_with_growing_waits() -> None:
    """After 2, 4, 8 and again 8 seconds, the same request; not once in between."""
    paying = Paying()
    paying.feed(IN_FLIGHT, request())
    asyncio.run(paying.look(0, 1, 1, 3, 1, 7, 1, 7, 1))
    assert paying.asked == ["r1"] * 5
    assert paying.published == []


@pytest.mark.parametrize(
    "answer", [succeeded, lambda asked: failed(asked, "card_expired")], ids=["succeeded", "failed"]
)
def test_an_answer_is_published(answer: Callable[[RechargeRequest], GatewayAnswer]) -> None:
    """And published again if the balance does not move: it is the same command, with the same id."""
    paying = Paying(answer)
    paying.feed(IN_FLIGHT, request())
    asyncio.run(paying.look(0, 2))
    assert paying.published == [answer(request())] * 2
    paying.feed(balance())
    asyncio.run(paying.look(100))
    assert len(paying.published) == 2


def test_an_answer_that_was_not_stored_is_asked_for_again() -> None:
    """The gateway says the same, and it is stored then."""
    paying = Paying(succeeded)
    paying.feed(IN_FLIGHT, request())
    paying.stored = False
    asyncio.run(paying.look(0))
    paying.stored = True
    asyncio.run(paying.look(2))
    assert (paying.asked, len(paying.published)) == (["r1", "r1"], 1)


@pytest.mark.parametrize(
    "outputs",
    [
        (request(),),  # nothing is in flight: it was answered, and the gateway may have forgotten its key
        (balance(), request()),
        (balance(recharge_in_flight="r2"), request()),
        (IN_FLIGHT,),  # its request has not been read yet
        (IN_FLIGHT, request(), balance()),
    ],
)
def test_what_is_not_in_flight_is_never_asked_for(outputs: tuple[Output, ...]) -> None:
    """The balance is the truth, whatever event of `recharges` comes again."""
    paying = Paying()
    paying.feed(*outputs)
    asyncio.run(paying.look(0, 1000))
    assert paying.asked == []


def test_balance_and_request_may_come_in_any_order() -> None:
    """They are of one transaction, but of two topics."""

    async def both_orders() -> list[list[str]]:
        asked = []
        for outputs in ((IN_FLIGHT, request()), (request(), IN_FLIGHT)):
            paying = Paying()
            paying.tenants.changed = paying.payments.consider
            paying.feed(*outputs)
            await paying.look(0)
            asked.append(paying.asked)
        return asked

    assert asyncio.run(both_orders()) == [["r1"], ["r1"]]


def test_only_so_many_are_asked_for_at_a_time() -> None:
    """Three tenants, two at a time: the third at the next look."""
    paying = Paying()
    for tenant in ("a", "b", "c"):
        paying.feed(balance(tenant=tenant, recharge_in_flight=tenant), request(tenant, tenant))
    asyncio.run(paying.look(0))
    assert paying.asked == ["a", "b"]
    asyncio.run(paying.look(0))
    assert paying.asked == ["a", "b", "c"]


def test_another_process_is_given_a_minute() -> None:
    """Then its recharges are asked for here as well: the key makes it safe."""
    paying = Paying(ours=False)
    paying.feed(IN_FLIGHT, request())
    asyncio.run(paying.look(0, 59))
    assert paying.asked == []
    asyncio.run(paying.look(1))
    assert paying.asked == ["r1"]


def test_a_bug_with_one_request_does_not_stop_the_others() -> None:
    """It is logged, and asked again later."""

    def broken(asked: RechargeRequest) -> GatewayAnswer:
        if asked.id == "a":
            raise ZeroDivisionError
        return Pending(asked.tenant, asked.id)

    paying = Paying(broken)
    for tenant in ("a", "b"):
        paying.feed(balance(tenant=tenant, recharge_in_flight=tenant), request(tenant, tenant))
    with capture_logs() as logs:
        asyncio.run(paying.look(0, 2))
    assert paying.asked == ["a", "b", "a", "b"]
    assert [line["event"] for line in logs] == ["payment.bug", "payment.bug"]


def test_a_record_of_a_newer_rater_changes_nothing() -> None:
    """It is logged and counted; what was known before stays."""
    paying = Paying()
    paying.feed(IN_FLIGHT, request())
    newer = b'{"tenant":"contoso","recharge_in_flight":{"id":"r9"}}'
    with capture_logs() as logs:
        paying.tenants.apply(consumed("balances", newer, offset=8))
    assert [(line["topic"], line["place"]) for line in logs] == [("balances", "0@8")]
    labels = {"topic": "balances"}
    assert paying.metrics.registry.get_sample_value("rater_unreadable_records_total", labels) == 1
    asyncio.run(paying.look(0))
    assert paying.asked == ["r1"]


def test_answered_requests_are_kept_for_late_webhooks_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest answered one goes first; what is in flight stays, however old."""
    monkeypatch.setattr(tenants_module, "ANSWERED_KEPT_MAX", 2)
    tenants = Tenants(Metrics(CollectorRegistry()))
    tenants.apply(consumed("balances", balance(tenant="old", recharge_in_flight="old")))
    tenants.apply(consumed("recharges", request("old", "old")))
    for number in range(5):
        tenants.apply(consumed("recharges", request(f"r{number}")))
        tenants.apply(consumed("balances", balance(recharge_in_flight=f"r{number}")))
    found = [id for id in ("old", "r0", "r1", "r2", "r3", "r4") if tenants.find_request(id)]
    assert found == ["old", "r2", "r3", "r4"]
    assert tenants.waiting() == ["old", "contoso"]


def test_who_is_restricted_longest() -> None:
    """The month's start unrestricts everybody, so the longest restricted user decides."""
    tenants = Tenants(Metrics(CollectorRegistry()))
    for state in (
        service("ada", "restricted", "2025-03-02"),
        service("bob", "restricted", "2025-02-02"),
        service("bob", "allowed", "2025-03-03"),
    ):
        tenants.apply(consumed("service-states", state))
    assert tenants.restricted_since("contoso") == at("2025-03-02")
    tenants.apply(consumed("service-states", service("ada", "allowed", "2025-03-04")))
    assert tenants.restricted_since("contoso") is None
    assert tenants.restricted_tenants() == []
