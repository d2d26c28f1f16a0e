"""Recharges: what is in flight is asked for until it is answered, and the answer is published as a command.

Three things make it look at a tenant: an event of `recharges`, a balance that says so, and the sweep.  All three
ask what is known of the tenant, so it does not matter which of them are lost: as long as a balance says that a
recharge is in flight, it is asked for again, with the same key, which is paid once.  What is no longer in flight
is never asked for: a gateway forgets keys after a while.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from rater.agents.payments.answers import GatewayAnswer
from rater.agents.settings import AgentsSettings
from rater.agents.tenants import Tenants
from rater.core import PaymentFailed, PaymentSucceeded, RechargeRequest
from rater.kafka.publisher import NotStored

#: Asks a gateway for a payment; the same request asked again is never paid twice.
Collect = Callable[[RechargeRequest], Awaitable[GatewayAnswer]]
#: Returns once the command cannot be lost any more; raises NotStored.
PublishAnswer = Callable[[PaymentSucceeded | PaymentFailed], Awaitable[None]]
#: Whether a tenant's work is this process's.
Ours = Callable[[str], bool]

log = structlog.get_logger(__name__)


class _Asked:
    """The state of one recharge in flight, by the clock of this process in seconds."""

    __slots__ = ("asking", "not_before_s", "since_s", "wait_s")

    def __init__(self, since_s: float, wait_s: float) -> None:
        self.since_s = since_s
        self.not_before_s = since_s
        self.wait_s = wait_s
        self.asking: asyncio.Task[None] | None = None


class Payments:
    """One for a process."""

    def __init__(
        self,
        tenants: Tenants,
        collect: Collect,
        publish: PublishAnswer,
        ours: Ours,
        settings: AgentsSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tenants = tenants
        self._collect = collect
        self._publish = publish
        self._ours = ours
        self._settings = settings
        self._clock = clock
        self._asked: dict[str, _Asked] = {}
        self._at_work = 0

    def consider(self, tenant: str) -> None:
        """Ask for the tenant's recharge in flight, if there is one, it is ours, and nobody asks for it here."""
        request = self._tenants.outstanding(tenant)
        if request is None:
            return
        now_s = self._clock()
        asked = self._asked.get(request.id)
        if asked is None:
            asked = self._asked[request.id] = _Asked(now_s, self._settings.ask_again_initial_s)
        if asked.asking is not None or now_s < asked.not_before_s or self._at_work >= self._settings.asking_max:
            return
        if self._ours(tenant) or now_s - asked.since_s >= self._settings.others_after_s:
            self._at_work += 1
            asked.asking = asyncio.create_task(self._ask(request, asked), name=f"payment {request.id}")

    def sweep(self) -> None:
        """Look at every recharge in flight; drop those that were answered."""
        for tenant in self._tenants.waiting():
            self.consider(tenant)
        for recharge in [recharge for recharge, asked in self._asked.items() if asked.asking is None]:
            request = self._tenants.find_request(recharge)
            if request is None or not self._tenants.is_in_flight(request):
                del self._asked[recharge]

    async def close(self) -> None:
        """Stop asking; what was under way is asked for again by whoever starts next."""
        asking = [asked.asking for asked in self._asked.values() if asked.asking is not None]
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, request: RechargeRequest, asked: _Asked) -> None:
        """Ask once; whatever the answer, the next look is only after a wait, each longer than the one before."""
        try:
            answer = await self._collect(request)
            if isinstance(answer, PaymentSucceeded | PaymentFailed):
                await self._publish(answer)
        except NotStored as wrong:
            log.error("answer.not_stored", tenant=request.tenant, recharge_id=request.id, message=str(wrong))
        except Exception:
            # A bug that one request brings out must not keep the others from being paid.
            log.exception("payment.bug", tenant=request.tenant, recharge_id=request.id)
        finally:
            self._at_work -= 1
            asked.asking = None
            asked.not_before_s = self._clock() + asked.wait_s
            asked.wait_s = min(asked.wait_s * 2, self._settings.ask_again_max_s)
