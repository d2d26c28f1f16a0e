"""A program of the operator that ends calls: each order as a signed webhook (Standard Webhooks).

`{"type": "call.disconnect", "timestamp": ..., "data": {the order}}`; the webhook-id is made of the order's id.  2xx
means that the call is being ended, 410 that it is gone; 404 is what a wrong address answers.
"""

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus

import msgspec
from aiohttp import hdrs

from rater.agents.signed_webhooks import signed_headers, signer_of
from rater.agents.switches.carrier import Disobeyed, Ended, HttpLine
from rater.agents.switches.settings import SwitchEntry
from rater.core import CallCommand


class WebhookSwitch(HttpLine):
    """See Carrier."""

    def __init__(self, entry: SwitchEntry, now: Callable[[], datetime]) -> None:
        """RaterError: the key is not there, or invalid."""
        super().__init__(entry)
        self._now = now
        self._signer = signer_of(self.secret or "", f"the secret of switch {entry.name}")

    async def end(self, order: CallCommand) -> Ended:
        """See Carrier."""
        body = body_of(order)
        headers = signed_headers(self._signer, f"msg_{order.id}", body, self._now())
        answer = await self.ask(hdrs.METH_POST, self.entry.address, body, headers)
        if answer.status == HTTPStatus.GONE:
            return Ended.GONE
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return Ended.OBEYED
        raise Disobeyed(f"{self.entry.address}: {answer.shown}")

    async def look(self) -> str:
        """See Carrier: any answer shows that something listens; no order is sent."""
        answer = await self.ask(hdrs.METH_HEAD, self.entry.address)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Disobeyed(f"{self.entry.address}: {answer.shown}")
        return "it answers HTTP"


def body_of(order: CallCommand) -> bytes:
    """The body that carries an order: the same bytes each time."""
    return msgspec.json.encode({"type": f"call.{order.command}", "timestamp": order.at, "data": order})
