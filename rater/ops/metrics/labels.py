"""The closed lists that label metrics: no label of ours can grow with customers.

A tenant, a user or a number is never a label: who it was is in the logs.
"""

import msgspec

from rater.core import (
    DIAL_OUT_FAMILY,
    EXPONENTS,
    ISO_COUNTRIES,
    OUTPUT_TOPICS,
    SKUS,
    Anomaly,
    ClosedList,
    DebitKind,
    DisconnectReason,
    Outcome,
    Pocket,
    Reason,
)

#: ISO 4217's "no currency" stands for an invalid code that an older release accepted.
NO_CURRENCY = "XXX"
#: ISO 3166-1 keeps ZZ free: here the destination of a call that no row of a deck matched.
NO_COUNTRY = "ZZ"
#: Minutes that no plan covered.
NO_PLAN = "none"
#: It is not certain which switch has a call.
NO_SWITCH = "none"
#: More than one deployment needs (architecture, "Beyond one machine"); each series of a partition is one a worker.
PARTITIONS_MAX = 1024


class Input(ClosedList):
    """The two inputs of the rating task."""

    CDRS = "cdrs"
    COMMANDS = "commands"


class PartitionState(ClosedList):
    """The state of a partition that this worker owns."""

    RESTORING = "restoring"  # its state and usage-id index are being read
    RATING = "rating"  # its records are rated
    STOPPED = "stopped"  # a bug stopped it at a record; a person must look


class CommitResult(ClosedList):
    """How a batch ended."""

    COMMITTED = "committed"
    ABORTED = "aborted"  # undone and tried again; nothing of it is visible
    UNKNOWN = "unknown"  # the answer was lost: the partition is reacquired, which finds out


class CreditSource(ClosedList):
    """How money came into the balance."""

    FUNDS = "funds"  # bought by a person
    RECHARGE = "recharge"  # collected by auto-recharge
    ADJUSTMENT = "adjustment"  # given by a person (A45)
    PROMOTION = "promotion"  # nobody paid for it (A46)


class RechargeResult(ClosedList):
    """The outcomes of auto-recharges."""

    REQUESTED = "requested"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SUPPRESSED = "suppressed"  # a limit was reached: more would be a runaway
    CONFLICT = "conflict"  # the gateway gave two different results for one payment: a person decides (A47)


class BrakeMode(ClosedList):
    """What a brake does whose limit is reached (A50)."""

    SHADOW = "shadow"  # it marks calls
    NOTIFY = "notify"  # it notifies people, too
    STOP = "stop"  # it refuses calls


class Standing(ClosedList):
    """Tenants that a person may have to look at; all others have money."""

    LOW = "low"  # below the recharge trigger, above zero
    SUSPENDED = "suspended"  # credits are set up, and nothing is left
    CLOSED_OWING = "closed_owing"  # the tenant is closed and owes money
    CLOSED_HOLDING = "closed_holding"  # the tenant is closed, and money of it is to be paid out


class AuthorizationAnswer(ClosedList):
    """The answer to a switch that asked whether a call may start."""

    ALLOWED = "allowed"
    DENIED = "denied"
    UNKNOWN = "unknown"  # no such tenant, or its partition is not restored yet


class CallEventResult(ClosedList):
    """Whether an event of a running call was applied."""

    TAKEN = "taken"
    UNREADABLE = "unreadable"  # no record of this contract


class GatewayAnswer(ClosedList):
    """What the payment gateway answered."""

    APPROVED = "approved"
    DECLINED = "declined"
    PENDING = "pending"  # the answer comes by webhook
    MALFORMED = "malformed"  # an invalid answer, such as an HTML page
    MISMATCHED = "mismatched"  # an answer about another recharge, tenant, amount or currency
    REFUSED = "refused"  # it does not accept our requests: look at token, address and version
    UNAVAILABLE = "unavailable"  # it asked us to come back later: asked again with the same key
    UNREACHABLE = "unreachable"  # no connection, timed out or cut off: asked again with the same key
    CIRCUIT_OPEN = "circuit_open"  # not asked: it failed too often just now


class WebhookResult(ClosedList):
    """The outcome of an answer that the gateway sent by webhook."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"  # had come before; changed nothing
    FORGED = "forged"  # the signature is missing or not the gateway's
    STALE = "stale"  # signed, but outside the replay window
    MISMATCHED = "mismatched"  # an unknown recharge, another amount or currency, or no answer at all


class Channel(ClosedList):
    """How people are notified."""

    EMAIL = "email"
    WEBHOOK = "webhook"


class OrderResult(ClosedList):
    """The outcome of an order to end a call that was carried to its switch."""

    OBEYED = "obeyed"  # the switch ends the call
    GONE = "gone"  # the switch has no such call any more
    ENDED = "ended"  # the call was over before the switch answered
    FAILED = "failed"  # the switch did not end it in time, or it is not certain which switch has it


class NotificationResult(ClosedList):
    """The outcome of a message to people."""

    SENT = "sent"
    FAILED = "failed"  # tried again later
    ABANDONED = "abandoned"  # refused for days: kept in the outbox, and not tried again
    DIGESTED = "digested"  # over the hourly limit of its tenant: sent in a digest


class CertificateUse(ClosedList):
    """Certificates whose end somebody should know beforehand."""

    CLIENT = "client"  # ours, shown to the broker
    BROKER_CA = "broker_ca"  # the authority that we trust brokers by


class Route(ClosedList):
    """What is asked of the HTTP server."""

    CDRS = "cdrs"
    CALL_EVENTS = "call_events"
    COMMANDS = "commands"
    AUTHORIZE = "authorize"
    CALL_COMMANDS = "call_commands"
    READ = "read"  # /v1/tenants and all below it
    OTHER = "other"  # pages about the process itself, and paths that there are not


class HttpResult(ClosedList):
    """How a request to the HTTP server was answered."""

    OK = "ok"
    WRONG = "wrong"  # it cannot be read, or is too long; nothing was stored
    DENIED = "denied"  # no token, a wrong one, or one that may not do this
    LIMITED = "limited"  # more records than its client may send
    BUSY = "busy"  # too much waits, or the store or Kafka does not answer: the switch tries again
    FAILED = "failed"  # a bug


class RecordResult(ClosedList):
    """The outcome of a record that came by HTTP."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    NOT_SELECTED = "not_selected"  # its mapping passes it over: another leg, a call that nobody answered


def plan_of_pool(pool: str) -> str:
    """The plan in a pool's name: "MCOPSTN1/US-PR/2025-03" is MCOPSTN1's."""
    return pool.partition("/")[0]


class Label(msgspec.Struct, frozen=True):
    """A label with every value it can have; `listed` says whether series start at 0 with each value.

    `named_in` is the file of a deployment that has further values, at most so many as the file may have.
    """

    name: str
    values: tuple[str, ...]
    listed: bool = True
    named_in: str = ""


def _of(name: str, values: type[ClosedList]) -> Label:
    return Label(name, tuple(value.value for value in values))


OUTCOME = _of("outcome", Outcome)
REASON = _of("reason", Reason)
ANOMALY = _of("anomaly", Anomaly)
DEBIT_KIND = _of("kind", DebitKind)
CREDIT_SOURCE = _of("source", CreditSource)
POCKET = _of("pocket", Pocket)
COMMIT_RESULT = _of("result", CommitResult)
PARTITION_STATE = _of("state", PartitionState)
RECHARGE_RESULT = _of("result", RechargeResult)
BRAKE_MODE = _of("mode", BrakeMode)
STANDING = _of("standing", Standing)
AUTHORIZATION_ANSWER = _of("answer", AuthorizationAnswer)
CALL_EVENT_RESULT = _of("result", CallEventResult)
DISCONNECT_REASON = _of("reason", DisconnectReason)
GATEWAY_ANSWER = _of("answer", GatewayAnswer)
WEBHOOK_RESULT = _of("result", WebhookResult)
CHANNEL = _of("channel", Channel)
ORDER_RESULT = _of("result", OrderResult)
NOTIFICATION_RESULT = _of("result", NotificationResult)
ROUTE = _of("route", Route)
HTTP_RESULT = _of("result", HttpResult)
RECORD_RESULT = _of("result", RecordResult)
CERTIFICATE_USE = Label("use", tuple(use.value for use in CertificateUse), listed=False)
SWITCH = Label("switch", (NO_SWITCH,), listed=False, named_in="switches.yaml")
INPUT = _of("input", Input)
TOPIC = Label("topic", OUTPUT_TOPICS)
CURRENCY = Label("currency", (*sorted(EXPONENTS), NO_CURRENCY), listed=False)
COUNTRY = Label("country", (*sorted(ISO_COUNTRIES), NO_COUNTRY), listed=False)
PLAN = Label(
    "plan",
    (*sorted({sku.plan.code for sku in SKUS.values() if sku.plan}), plan_of_pool(DIAL_OUT_FAMILY), NO_PLAN),
    listed=False,
)
PARTITION = Label("partition", tuple(str(number) for number in range(PARTITIONS_MAX)), listed=False)
