"""What the agents answer over HTTP: are they alive, are they ready, the metrics, and webhooks of the gateway."""

from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from rater.agents.service import Agents
from rater.kafka.publisher import NotStored

PAYMENTS_WEBHOOK = "/v1/webhooks/payments"
log = structlog.get_logger(__name__)


def add_health(app: Any, agents: Agents) -> None:
    """/livez: the loop turns; /readyz: everything is open, known and shared out; /healthz?verbose; /metrics."""

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def readyz(_: web.Request) -> web.Response:
        waiting = waiting_for(agents)
        text = f"waiting for {', '.join(waiting)}\n" if waiting else "ready\n"
        return web.Response(text=text, status=HTTPStatus.SERVICE_UNAVAILABLE if waiting else HTTPStatus.OK)

    async def healthz(request: web.Request) -> web.Response:
        answer = await readyz(request)
        if "verbose" in request.query:
            answer.text = (answer.text or "") + _standing(agents)
        return answer

    async def metrics(_: web.Request) -> web.Response:
        body = generate_latest(agents.metrics.registry)  # type: ignore[no-untyped-call]  # the library's own gap
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    for path, answer in (("/livez", livez), ("/readyz", readyz), ("/healthz", healthz), ("/metrics", metrics)):
        app.web.web_app.router.add_get(path, answer)


def add_webhooks(app: Any, agents: Agents) -> None:
    """POST /v1/webhooks/payments, where keys of the gateway are set; 2xx only once the command is stored."""
    receiver = agents.receiver
    if receiver is None:
        return

    async def respond(request: web.Request) -> web.StreamResponse:
        later = web.json_response({"message": "come back later"}, status=HTTPStatus.SERVICE_UNAVAILABLE)
        if not agents.follower.caught_up:
            return later  # what it answers may be among what was not read yet
        try:
            return await receiver.respond(request)
        except NotStored as wrong:
            log.error("webhook.not_stored", message=str(wrong))
            return later

    app.web.web_app.router.add_post(PAYMENTS_WEBHOOK, respond)


def add_answers(app: Any, agents: Agents) -> None:
    """GET /v1/authorize, where switches are served."""
    if agents.switchboard is not None:
        agents.switchboard.add_to(app.web.web_app.router)


def waiting_for(agents: Agents) -> list[str]:
    """What is missing until the agents are ready; nothing when they are."""
    missing = {
        "gateway and outbox": agents.opened.is_set(),
        "balances and recharges to be read": agents.follower.caught_up,
        "state and running calls to be read": agents.switchboard is None or agents.switchboard.ready,
        "the group": agents.assigned is not None or not agents.shares,
    }
    return [name for name, there in missing.items() if not there]


def _standing(agents: Agents) -> str:
    lines = [f"settings: {agents.settings_digest}\n"]
    lines += [f"recharges in flight: {len(agents.tenants.waiting())}\n"]
    if agents.gateway is not None:
        lines.append(f"circuit of the gateway: {'open' if agents.gateway.circuit.is_open else 'closed'}\n")
    for topic, partitions in sorted((agents.assigned or {}).items()):
        lines.append(f"{topic}: partitions {sorted(partitions)}\n")
    return "".join(lines)
