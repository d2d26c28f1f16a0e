"""Kamailio: JSON-RPC over HTTP (modules jsonrpcs and xhttp), `dlg.terminate_dlg` or `dlg.end_dlg` (module dialog).

An error has its code as the status of HTTP, too.  Kamailio 5.6 answers 500 to a call id that it does not have, and
to a method that it does not have: only the text differs.
"""

import re
from http import HTTPStatus

import msgspec
from aiohttp import hdrs

from rater.agents.switches.carrier import Answer, Disobeyed, Ended, HttpLine, Impossible
from rater.core import CallCommand, CallHandles

_GONE = re.compile(r"find callid in dialog|dialog not found", re.IGNORECASE)
_DIALOG = re.compile(r"([0-9]{1,10}):([0-9]{1,10})")


class _Error(msgspec.Struct):
    message: str = ""


class _Reply(msgspec.Struct):
    id: str | None = None
    error: _Error | None = None


_reply = msgspec.json.Decoder(_Reply)


class Kamailio(HttpLine):
    """See Carrier."""

    async def end(self, order: CallCommand) -> Ended:
        """See Carrier."""
        method = self.entry.method or "dlg.terminate_dlg"
        params = _dialog(order) if method == "dlg.end_dlg" else _call_and_tags(order)
        reply, answer = await self._call(method, params, order.id)
        if reply.error is None:
            return Ended.OBEYED
        if _GONE.search(reply.error.message):
            return Ended.GONE
        raise Disobeyed(f"{method}: {answer.shown}")

    async def look(self) -> str:
        """See Carrier: whether the module dialog is there."""
        reply, answer = await self._call("dlg.stats_active", [], "look")
        if reply.error is not None:
            raise Disobeyed(f"dlg.stats_active: {answer.shown}")
        return "it answers dlg.stats_active"

    async def _call(self, method: str, params: list[str] | list[int], id: str) -> tuple[_Reply, Answer]:
        headers: dict[str, str] = {hdrs.CONTENT_TYPE: "application/json"}
        if self.secret is not None and self.entry.user is None:
            headers[hdrs.AUTHORIZATION] = f"Bearer {self.secret}"
        body = msgspec.json.encode({"jsonrpc": "2.0", "method": method, "params": params, "id": id})
        answer = await self.ask(hdrs.METH_POST, self.entry.address, body, headers)
        try:
            reply = _reply.decode(answer.text)
        except msgspec.DecodeError:
            reply = _Reply()
        if reply.id != id or (reply.error is None and answer.status != HTTPStatus.OK):
            raise Disobeyed(f"{self.entry.address}: expected an answer of JSON-RPC; {answer.shown}")
        return reply, answer


def _call_and_tags(order: CallCommand) -> list[str]:
    handles = order.handles or CallHandles()
    if not (order.call_id and handles.from_tag and handles.to_tag):
        raise Impossible("expected call_id, handles.from_tag and handles.to_tag in the call's events")
    return [order.call_id, handles.from_tag, handles.to_tag]


def _dialog(order: CallCommand) -> list[int]:
    named = _DIALOG.fullmatch((order.handles or CallHandles()).dialog or "")
    if named is None:
        raise Impossible("expected handles.dialog as ENTRY:ID in the call's events")
    return [int(named[1]), int(named[2])]
