"""Recharges of a store while it is served: the gateway is asked beside the writing, so that no record waits for it.

A request that has no clear answer is asked for again with the same key, and paid once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog

from rater.core import AnyCommand, RechargeRequest
from rater.engine.gateway import PaymentGateway
from rater.serve.group_commit import NotKept
from rater.wire.errors import RaterError

#: Seconds until a payment without a clear answer is asked for again, doubled each time up to the second.
_AGAIN_INITIAL_S, _AGAIN_MAX_S = 2.0, 300.0
#: Payments that are asked for at the same time.
_ASKING_MAX = 20

log = structlog.get_logger("rater.serve")
Apply = Callable[[str, Sequence[AnyCommand]], Awaitable[None]]


class Collecting:
    """`ask_for` requests as they are committed; `run` asks the gateway and applies its answers."""

    def __init__(self, gateway: PaymentGateway) -> None:
        self._gateway = gateway
        self._waiting: asyncio.Queue[RechargeRequest] = asyncio.Queue()

    def ask_for(self, requests: Iterable[RechargeRequest]) -> None:
        """Note requests."""
        for request in requests:
            self._waiting.put_nowait(request)

    async def run(self, apply: Apply) -> None:
        """Collect until cancelled."""
        asking = asyncio.Semaphore(_ASKING_MAX)
        async with asyncio.TaskGroup() as group:
            while True:
                await asking.acquire()
                group.create_task(self._collect(await self._waiting.get(), apply, asking))

    async def _collect(self, request: RechargeRequest, apply: Apply, asking: asyncio.Semaphore) -> None:
        wait_s = _AGAIN_INITIAL_S
        try:
            while True:
                try:
                    answer = await asyncio.to_thread(self._gateway.collect, request)
                    await apply("gateway", [answer])
                except (RaterError, NotKept) as wrong:
                    log.error("a recharge waits", recharge=request.id, tenant=request.tenant, reason=str(wrong))
                else:
                    return
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _AGAIN_MAX_S)
        finally:
            asking.release()
