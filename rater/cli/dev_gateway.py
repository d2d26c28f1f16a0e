"""`rater dev gateway`: a sandbox payment gateway as a process of its own."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from rater.agents.signed_webhooks import signer_of
from rater.dev.charge_log import ChargeLog
from rater.dev.sandbox_gateway import Sandbox, WebhookTarget, serve
from rater.dev.sandbox_rules import Rules, read_behaviour, read_rule
from rater.ops.logs import log_to_stderr
from rater.ops.secrets import SecretSource
from rater.wire.errors import RaterError

WEBHOOK_SECRET_ENV = "RATER_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable


def gateway(
    port: Annotated[int, typer.Option(help="On 127.0.0.1; 0 chooses a free one.", min=0, max=65535)] = 8090,
    charges: Annotated[Path, typer.Option("--log", help="Append-only file of charges, JSON lines.")] = Path(
        "gateway-charges.jsonl"
    ),
    when: Annotated[
        list[str] | None,
        typer.Option(
            help="tenant:PREFIX=BEHAVIOUR or amount:AMOUNT=BEHAVIOUR; the first that fits.", metavar="RULE"
        ),
    ] = None,
    script: Annotated[
        str, typer.Option(help="Behaviours of the first new orders, with commas; then the rules.")
    ] = "",
    webhook_url: Annotated[str | None, typer.Option(help="Where results are sent (late, twice).")] = None,
    webhook_secret_file: Annotated[
        Path | None, typer.Option(help=f"File with the key of webhooks; else the variable {WEBHOOK_SECRET_ENV}.")
    ] = None,
    webhook_after: Annotated[float, typer.Option(help="Seconds until a webhook is sent.", min=0, max=3600)] = 1.0,
) -> None:
    """Run a sandbox payment gateway; its address is printed once it is ready.

    Without rules it approves.  BEHAVIOUR is one of:
    approve; card_expired, insufficient_funds (declines); late (answers "pending", the result comes by webhook);
    twice (the webhook comes twice); drop (charges, then closes the connection); html (charges, then answers a
    page); unavailable (503 once, nothing charged).  The same Idempotency-Key is charged once, also after a restart.

    Example: rater dev gateway --port 0 --when tenant:tailspin=card_expired --when amount:13=insufficient_funds
    """
    log_to_stderr()
    rules = Rules([read_rule(text) for text in when or ()], [read_behaviour(text) for text in _entries(script)])
    target = _target(webhook_url, webhook_secret_file, webhook_after)
    opened = ChargeLog(charges)
    try:
        sandbox = Sandbox(opened, rules, target)
        asyncio.run(serve(sandbox, port, lambda address: print(address, flush=True)))
    finally:
        opened.close()


def _target(url: str | None, secret_file: Path | None, after_s: float) -> WebhookTarget | None:
    if url is None:
        return None
    if not url.startswith(("http://", "https://")):
        raise RaterError(f"--webhook-url: expected an address such as http://127.0.0.1:8088/x, got {url!r}")
    place = SecretSource(file=secret_file) if secret_file else SecretSource(env=WEBHOOK_SECRET_ENV)
    purpose = "the key of webhooks"
    return WebhookTarget(url, signer_of(place.read(purpose), purpose), after_s)


def _entries(text: str) -> list[str]:
    return [entry for entry in text.split(",") if entry.strip()]
