"""What payments and notifications say is counted in the one list."""

import asyncio
from pathlib import Path

from prometheus_client import CollectorRegistry

from rater.agents.notices.notifier import Notifier
from rater.agents.payments.answers import Cause, GatewayAnswer, Pending, Unknown
from rater.agents.payments.http_gateway import label_of
from rater.agents.payments.webhooks import RESULT_OF, WebhookRefusal
from rater.engine.gateway import failed, succeeded
from rater.ops.metrics import labels
from rater.ops.metrics.meter import Metrics
from tests.notify.world import Clock, Mailbox, email_settings, event, mail_server, notify_settings
from tests.payments.world import REQUEST


def test_every_answer_of_a_gateway_is_counted() -> None:
    """Each has a label, and each label an answer: none can be forgotten."""
    answers: list[GatewayAnswer] = [
        succeeded(REQUEST),
        failed(REQUEST, "card_expired"),
        Pending("contoso", REQUEST.id),
        *(Unknown("contoso", REQUEST.id, cause, "") for cause in Cause),
    ]
    assert {label_of(answer) for answer in answers} == set(labels.GatewayAnswer)


def test_every_refusal_of_a_webhook_is_counted() -> None:
    """Accepted and repeated ones are counted where they are stored."""
    assert set(RESULT_OF) == set(WebhookRefusal)
    others = {labels.WebhookResult.ACCEPTED, labels.WebhookResult.REPEATED}
    assert set(RESULT_OF.values()) == set(labels.WebhookResult) - others


async def _notify(folder: Path, metrics: Metrics) -> None:
    mailbox = Mailbox()
    mailbox.refuse = lambda mail: "550 no" if "recharge" not in mail["Subject"] else None
    clock = Clock()
    async with mail_server(mailbox):
        email = email_settings(mailbox.port, messages_per_hour_max=2)
        settings = notify_settings(folder, email=email, refused_hours_max=1)
        async with Notifier(settings, clock, metrics) as notifier:
            for number in range(4):
                await notifier.note(event(number))
            await notifier.deliver_due()
            clock.pass_(hours=2)
            await notifier.deliver_due()


def test_messages_are_counted(tmp_path: Path) -> None:
    """Two within the limit are sent; the digest of the other two is refused for more than an hour, and given up."""
    metrics = Metrics(CollectorRegistry())
    asyncio.run(_notify(tmp_path, metrics))
    counted = {
        (sample.labels["channel"], sample.labels["result"]): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "rater_notifications_total" and sample.value
    }
    assert counted == {("email", "sent"): 2, ("email", "abandoned"): 1}
