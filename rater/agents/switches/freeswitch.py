"""FreeSWITCH: the command `uuid_kill` over HTTP (mod_xml_rpc), with Basic authentication."""

import re
from http import HTTPStatus
from urllib.parse import quote

from aiohttp import hdrs

from rater.agents.switches.carrier import Answer, Disobeyed, Ended, HttpLine, Impossible
from rater.core import CallCommand, CallHandles

#: What a UUID of a leg may be made of; a command's arguments are parted by spaces.
_UUID = re.compile(r"[0-9A-Za-z._-]{1,128}")
_CAUSE = "NORMAL_CLEARING"


class FreeSwitch(HttpLine):
    """See Carrier."""

    async def end(self, order: CallCommand) -> Ended:
        """See Carrier; the leg is `handles.channel`, else `call_id`."""
        uuid = (order.handles or CallHandles()).channel or order.call_id or ""
        if _UUID.fullmatch(uuid) is None:
            raise Impossible("expected the leg's UUID as call_id or handles.channel in the call's events")
        answer = await self._command("uuid_kill", f"{uuid} {_CAUSE}")
        text = answer.text.strip()
        if text.startswith("+OK"):
            return Ended.OBEYED
        if text.startswith("-ERR") and "no such channel" in text.lower():
            return Ended.GONE
        raise Disobeyed(f"uuid_kill: {answer.shown}")

    async def look(self) -> str:
        """See Carrier."""
        await self._command("status", "")
        return "it answers status"

    async def _command(self, name: str, arguments: str) -> Answer:
        url = f"{self.entry.address}/txtapi/{name}" + (f"?{quote(arguments)}" if arguments else "")
        answer = await self.ask(hdrs.METH_GET, url)
        if answer.status != HTTPStatus.OK:
            raise Disobeyed(f"{name}: {answer.shown}")
        return answer
