"""Small HTTP servers that behave as each kind of switch does: they have calls, end them, and fail in their own words."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from aiohttp import encode_basic_auth, web
from standardwebhooks import Webhook

from rater.agents.switches.settings import SwitchEntry
from rater.core.call_control import CallCommand, CallHandles, DisconnectReason
from rater.core.running_calls import order_id

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
KEY = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
USER, PASSWORD = "rater", "of-this-test"
KINDS = ("kamailio", "freeswitch", "asterisk", "webhook")


def order(id: str = "call-1", tenant: str = "contoso", **more: Any) -> CallCommand:
    """An order to end a call that each kind of switch can obey."""
    given: dict[str, Any] = {
        "call_id": f"leg-{id}", "handles": CallHandles(from_tag="from", to_tag="to", dialog="152:6681"), **more,
    }  # fmt: skip
    return CallCommand(
        tenant=tenant, id=order_id(tenant, id), command="disconnect", usage_id=id, at=AT,
        reason=DisconnectReason.CREDIT_USED_UP, authorized_s=300, **given,
    )  # fmt: skip


class PretendedSwitch:
    """One switch: `calls` run on it by what the order names them; `fails` makes it answer an error, or nothing."""

    def __init__(self, kind: str, name: str, calls: set[str]) -> None:
        self.kind, self.name, self.calls = kind, name, calls
        self.fails: str | None = None
        #: The calls that it was ordered to end, in order, whether it had them or not.
        self.ordered: list[str] = []
        self.ended: list[str] = []
        self.address = ""

    def entry(self, folder: Path, **more: Any) -> SwitchEntry:
        """Its entry in switches.yaml."""
        secret = folder / f"{self.name}.secret"
        secret.write_text(KEY if self.kind == "webhook" else PASSWORD)
        given: dict[str, Any] = {"name": self.name, "kind": self.kind, "address": self.address, "timeout_s": 30}
        given |= {"secret": {"file": str(secret)}}
        given |= {"user": USER} if self.kind in ("freeswitch", "asterisk") else {}
        return SwitchEntry.model_validate(given | more)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Answer as a switch of its kind does."""
        if self.fails == "silent":
            await asyncio.Event().wait()
        if self.fails == "page":
            return web.Response(text="<html>Welcome</html>", content_type="text/html")
        answer: web.StreamResponse = await getattr(self, f"_{self.kind}")(request)
        return answer

    def _end(self, call: str) -> bool:
        self.ordered.append(call)
        if self.fails or call not in self.calls:
            return False
        self.calls.discard(call)
        self.ended.append(call)
        return True

    async def _kamailio(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if request.headers.get("Authorization") != f"Bearer {PASSWORD}":
            return web.Response(status=403, text="Forbidden")
        params, error = asked["params"], (500, "Method Not Found")
        match asked["method"]:
            case "dlg.stats_active":
                return web.json_response({"jsonrpc": "2.0", "result": {"all": len(self.calls)}, "id": asked["id"]})
            case "dlg.terminate_dlg" if params[1:] == ["from", "to"] and isinstance(params[0], str):
                ended, error = self._end(params[0]), (500, "Couldnt find callid in dialog")
            case "dlg.end_dlg" if params == [152, 6681]:
                ended, error = self._end("152:6681"), (404, "Dialog not found")
            case _:
                ended = False
        if self.fails:
            error = (500, "Server failure")
        if not ended:
            body = {"jsonrpc": "2.0", "error": {"code": error[0], "message": error[1]}, "id": asked["id"]}
            return web.json_response(body, status=error[0])
        return web.json_response({"jsonrpc": "2.0", "result": {}, "id": asked["id"]})

    async def _freeswitch(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != encode_basic_auth(USER, PASSWORD):
            return web.Response(status=401, text="")
        if request.path == "/txtapi/status":
            return web.Response(text="UP 0 years, 0 days")
        assert request.path == "/txtapi/uuid_kill"
        uuid, cause = request.query_string.replace("%20", " ").split(" ")
        assert cause == "NORMAL_CLEARING"
        if self._end(uuid):
            return web.Response(text="+OK\n")
        return web.Response(text="-ERR Operation Failed\n" if self.fails else "-ERR No such channel!\n")

    async def _asterisk(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != encode_basic_auth(USER, PASSWORD):
            return web.json_response({"message": "Authentication required"}, status=401)
        if request.path == "/ari/asterisk/info":
            return web.json_response({"system": {"version": "20.6.0"}})
        assert (request.method, request.path.rpartition("/")[0]) == ("DELETE", "/ari/channels")
        if self._end(request.path.rpartition("/")[2]):
            return web.Response(status=204)
        if self.fails:
            return web.json_response({"message": "Allocation failed"}, status=500)
        return web.json_response({"message": "Channel not found"}, status=404)

    async def _webhook(self, request: web.Request) -> web.Response:
        if request.method == "HEAD":
            return web.Response(status=405)
        body = await request.read()
        found = Webhook(KEY).verify(body, dict(request.headers))
        assert found["type"] == "call.disconnect"
        if self._end(json.loads(body)["data"]["call_id"]):
            return web.Response(status=202)
        return web.Response(status=503 if self.fails else 410)


@asynccontextmanager
async def pretending(kind: str, *calls: str, name: str | None = None) -> AsyncIterator[PretendedSwitch]:
    """A switch of a kind, with these calls, on a free port."""
    switch = PretendedSwitch(kind, name or f"{kind}-1", set(calls))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", switch.respond)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        path = {"kamailio": "/RPC", "asterisk": "/ari", "webhook": "/orders"}.get(kind, "")
        switch.address = f"http://127.0.0.1:{port}{path}"
        yield switch
    finally:
        await runner.cleanup()


@contextmanager
def beside(kind: str, *calls: str, name: str | None = None) -> Iterator[PretendedSwitch]:
    """The same in a thread of its own, for tests that wait for other processes or threads."""
    loop = asyncio.new_event_loop()
    stack = AsyncExitStack()
    switch = loop.run_until_complete(stack.enter_async_context(pretending(kind, *calls, name=name)))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield switch
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(stack.aclose())
        loop.close()


def written(folder: Path, *entries: SwitchEntry) -> Path:
    """A file with these switches."""
    path = folder / "switches.yaml"
    found = [entry.model_dump(mode="json", exclude_defaults=True) for entry in entries]
    path.write_text(yaml.safe_dump({"switches": found}))
    return path
