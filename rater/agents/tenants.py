"""What agents know of tenants: the latest balances, the requests for payment, the restricted users.

It is fed by a follower of the three topics, from their beginning, and is the truth about what is outstanding: a
recharge that a balance says is in flight has not been answered, whatever anybody acknowledged.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeVar

import msgspec
import structlog

from rater.core import Balance, RechargeRequest, ServiceState, name_key
from rater.kafka.port import Consumed
from rater.ops.metrics.meter import Metrics

TOPICS = ("balances", "recharges", "service-states")
#: Requests that are kept although they were answered, so that a webhook that comes late finds its own.
ANSWERED_KEPT_MAX = 100_000

_decode_balance = msgspec.json.Decoder(Balance).decode
_decode_request = msgspec.json.Decoder(RechargeRequest).decode
_decode_service = msgspec.json.Decoder(ServiceState).decode
_Decoded = TypeVar("_Decoded", Balance, RechargeRequest, ServiceState)

log = structlog.get_logger(__name__)


class Tenants:
    """`apply` is a follower's function; `changed` gets a tenant whose recharge may have to be asked for."""

    def __init__(self, metrics: Metrics, changed: Callable[[str], None] = lambda _: None) -> None:
        self.changed = changed
        self._metrics = metrics
        self._balances: dict[str, bytes] = {}
        self._touched: set[str] = set()
        self._in_flight: dict[str, str] = {}
        self._requests: dict[str, RechargeRequest] = {}
        self._restricted: dict[str, dict[str, datetime]] = {}

    def apply(self, record: Consumed) -> None:
        """Apply a record; one that does not decode changes nothing, and is logged and counted."""
        match record.topic:
            case "balances":
                self._apply_balance(record)
            case "recharges":
                self._apply_request(record)
            case "service-states":
                self._apply_service(record)
            case _:
                raise AssertionError(record.topic)

    def find_request(self, recharge_id: str) -> RechargeRequest | None:
        """What was asked for under an id; None when nothing was, or long ago, or it was not read yet."""
        return self._requests.get(recharge_id)

    def is_in_flight(self, request: RechargeRequest) -> bool:
        """Whether the rater still waits for the answer to this request."""
        return self._in_flight.get(request.tenant) == request.id

    def outstanding(self, tenant: str) -> RechargeRequest | None:
        """The request of a tenant that is not answered yet; None too while only its id is known."""
        recharge = self._in_flight.get(tenant)
        return None if recharge is None else self._requests.get(recharge)

    def waiting(self) -> list[str]:
        """Tenants with a recharge in flight."""
        return list(self._in_flight)

    def balances(self) -> Iterator[Balance]:
        """The latest balance of every tenant; may be left in the middle, and records may come meanwhile."""
        for tenant in list(self._balances):
            yield _decode_balance(self._balances[tenant])

    def restricted_since(self, tenant: str) -> datetime | None:
        """Since when the tenant's longest restricted user may not call out; None when nobody is restricted."""
        return min(self._restricted.get(tenant, {}).values(), default=None)

    def balance(self, tenant: str) -> Balance | None:
        """The latest balance of a tenant."""
        raw = self._balances.get(tenant)
        return None if raw is None else _decode_balance(raw)

    def pop_touched(self) -> set[str]:
        """Tenants whose balance has changed since this was called last."""
        touched, self._touched = self._touched, set()
        return touched

    def restricted_tenants(self) -> list[str]:
        """Tenants with a user who may not call out."""
        return list(self._restricted)

    def _apply_balance(self, record: Consumed) -> None:
        balance = self._read(record, _decode_balance)
        if balance is None:
            return
        assert record.value is not None
        self._balances[balance.tenant] = record.value
        self._touched.add(balance.tenant)
        before = self._in_flight.get(balance.tenant)
        if balance.recharge_in_flight == before:
            return
        if before is not None:
            self._keep_answered(before)
        if balance.recharge_in_flight is None:
            del self._in_flight[balance.tenant]
        else:
            self._in_flight[balance.tenant] = balance.recharge_in_flight
            self.changed(balance.tenant)

    def _keep_answered(self, recharge: str) -> None:
        """Put it behind all others; the oldest goes when there are too many."""
        request = self._requests.pop(recharge, None)
        if request is not None:
            self._requests[recharge] = request
        self._forget_oldest()

    def _apply_request(self, record: Consumed) -> None:
        request = self._read(record, _decode_request)
        if request is not None:
            self._requests[request.id] = request
            self._forget_oldest()
            self.changed(request.tenant)

    def _forget_oldest(self) -> None:
        for _ in range(len(self._requests) - len(self._in_flight) - ANSWERED_KEPT_MAX):
            oldest = next(iter(self._requests))
            request = self._requests.pop(oldest)
            if self.is_in_flight(request):
                self._requests[oldest] = request

    def _apply_service(self, record: Consumed) -> None:
        if record.value is None:
            return  # a former key of a user, who has another now
        state = self._read(record, _decode_service)
        if state is None or state.user is None or state.brake is not None:  # of brakes no clock is needed
            return
        users = self._restricted.setdefault(state.tenant, {})
        if state.state == "restricted":
            users[name_key(state.user)] = state.since
        else:
            users.pop(name_key(state.user), None)
        if not users:
            del self._restricted[state.tenant]

    def _read(self, record: Consumed, decode: Callable[[bytes], _Decoded]) -> _Decoded | None:
        try:
            return decode(record.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
            unreadable(self._metrics, record.topic, f"{record.partition}@{record.offset}", wrong)
            return None


def unreadable(metrics: Metrics, topic: str, place: str, wrong: Exception) -> None:
    """Log that a record of one of our own topics does not decode: a newer rater wrote it, or it is broken."""
    metrics.unreadable(topic)
    log.error(
        "a record cannot be read: it was written by a newer rater; upgrade the agents, then restart them",
        topic=topic,
        place=place,
        message=str(wrong),
    )
