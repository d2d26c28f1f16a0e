"""Asterisk: `DELETE /channels/{id}` of its REST interface (ARI), with Basic authentication."""

from http import HTTPStatus
from urllib.parse import quote

from aiohttp import hdrs

from rater.agents.switches.carrier import Disobeyed, Ended, HttpLine, Impossible
from rater.core import CallCommand, CallHandles


class Asterisk(HttpLine):
    """See Carrier."""

    async def end(self, order: CallCommand) -> Ended:
        """See Carrier; the channel is `handles.channel`, else `call_id`."""
        channel = (order.handles or CallHandles()).channel or order.call_id
        if not channel or channel in (".", ".."):
            raise Impossible("expected the channel's unique id as call_id or handles.channel in the call's events")
        address = f"{self.entry.address}/channels/{quote(channel, safe='')}?reason=normal"
        answer = await self.ask(hdrs.METH_DELETE, address)
        match answer.status:
            case HTTPStatus.NO_CONTENT:
                return Ended.OBEYED
            case HTTPStatus.NOT_FOUND if "channel" in answer.text.lower():
                return Ended.GONE
            case _:
                raise Disobeyed(f"DELETE /channels: {answer.shown}")

    async def look(self) -> str:
        """See Carrier."""
        answer = await self.ask(hdrs.METH_GET, f"{self.entry.address}/asterisk/info?only=system")
        if answer.status != HTTPStatus.OK:
            raise Disobeyed(f"GET /asterisk/info: {answer.shown}")
        return "it answers /asterisk/info"
