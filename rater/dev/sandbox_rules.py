"""What the sandbox gateway does with an order: by a script, then by the first rule that fits, else it approves."""

from collections.abc import Iterable

import msgspec

from rater.agents.payments.wire import PaymentOrder
from rater.core import ClosedList, MoneyError, parse_micros
from rater.wire.errors import RaterError


class Behaviour(ClosedList):
    """What a new order meets; asked again with the same key, every one but `late` answers its result."""

    APPROVE = "approve"  # takes the money and says so
    CARD_EXPIRED = "card_expired"  # declines
    INSUFFICIENT_FUNDS = "insufficient_funds"  # declines
    LATE = "late"  # takes the money and answers "pending"; the result comes by webhook only
    TWICE = "twice"  # takes the money, says so, and sends the webhook twice
    DROP = "drop"  # takes the money, then closes the connection without an answer
    HTML = "html"  # takes the money, then answers with a page of HTML
    UNAVAILABLE = "unavailable"  # answers 503 to the first question and takes no money; approves the second


DECLINES = frozenset({Behaviour.CARD_EXPIRED, Behaviour.INSUFFICIENT_FUNDS})
#: Behaviours that send webhooks, with how many.
WEBHOOKS = {Behaviour.LATE: 1, Behaviour.TWICE: 2}


class Rule(msgspec.Struct, frozen=True):
    """Orders of tenants with a prefix, or of one amount in micro-units, meet a behaviour."""

    behaviour: Behaviour
    tenant_prefix: str | None = None
    amount: int | None = None

    def fits(self, order: PaymentOrder) -> bool:
        """Whether the rule is about this order."""
        if self.tenant_prefix is not None:
            return order.tenant.startswith(self.tenant_prefix)
        return parse_micros(order.amount) == self.amount


class Rules:
    """A script is used up, one entry for each new order; rules stay."""

    def __init__(self, rules: Iterable[Rule] = (), script: Iterable[Behaviour] = ()) -> None:
        self._rules = tuple(rules)
        self._script = list(script)

    def choose(self, order: PaymentOrder) -> Behaviour:
        """What this new order meets."""
        if self._script:
            return self._script.pop(0)
        return next((rule.behaviour for rule in self._rules if rule.fits(order)), Behaviour.APPROVE)

    def may(self, behaviours: Iterable[Behaviour]) -> bool:
        """Whether any order can meet one of these."""
        wanted = frozenset(behaviours)
        return any(rule.behaviour in wanted for rule in self._rules) or not wanted.isdisjoint(self._script)


def read_rule(text: str) -> Rule:
    """`tenant:PREFIX=BEHAVIOUR` or `amount:AMOUNT=BEHAVIOUR`; RaterError says what was expected."""
    condition, _, behaviour = text.rpartition("=")
    kind, _, value = condition.partition(":")
    if kind == "tenant" and value:
        return Rule(read_behaviour(behaviour), tenant_prefix=value)
    if kind == "amount" and value:
        try:
            return Rule(read_behaviour(behaviour), amount=parse_micros(value))
        except MoneyError as wrong:
            raise RaterError(f"--when {text}: {wrong}") from wrong
    raise RaterError(f"--when: expected tenant:PREFIX=BEHAVIOUR or amount:AMOUNT=BEHAVIOUR, got {text!r}")


def read_behaviour(text: str) -> Behaviour:
    """A behaviour by its name; RaterError lists them."""
    try:
        return Behaviour(text.strip())
    except ValueError:
        names = ", ".join(behaviour.value for behaviour in Behaviour)
        raise RaterError(f"expected one of {names}; got {text!r}") from None
