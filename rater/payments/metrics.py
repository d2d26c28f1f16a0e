"""The metrics of payments; label values are those of closed lists.  Refuses to know where they are shown."""

from prometheus_client import Counter, Gauge

#: succeeded, failed, pending, or a Cause.
ANSWERS = Counter("rater_payment_answers_total", "Answers of the payment gateway", ["answer"])
#: accepted, or a WebhookRefusal.
WEBHOOKS = Counter("rater_payment_webhooks_total", "Webhooks of the payment gateway", ["outcome"])
CIRCUIT_OPEN = Gauge("rater_payment_circuit_open", "1 while the payment gateway is left alone")
