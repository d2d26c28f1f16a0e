"""The payment gateway of a store: a setting that is given once, and what a summary says of its payments.

Without one, recharges are requested and wait for an answer: no money is credited that was not collected.
The setting never holds a secret; a gateway's token stays in its environment variable.
"""

import shlex
from collections.abc import Callable

import msgspec

from rater.core import RechargeRequest
from rater.embedded.store import Reader, Store
from rater.engine.gateway import LocalGateway, PaymentGateway, succeeded
from rater.wire.codec import encode_input
from rater.wire.errors import RaterError

#: The name of the setting, and its values that are no address.
GATEWAY = "gateway"
PRETEND = "pretend"
NO_GATEWAY = "none"
_DECLINE = "pretend:decline"
_EXPECTED = f"expected a URL, {PRETEND}, {_DECLINE}, {_DECLINE}:TENANT,... or {NO_GATEWAY}"
PRETENDED = "payments are pretended: no money was collected"
_request_decoder = msgspec.json.Decoder(RechargeRequest)


class Payments(msgspec.Struct, frozen=True, kw_only=True):
    """How recharges of a store are paid: its gateway if it has one, and how many wait for an answer."""

    gateway: str | None
    pretended: bool
    waiting: int
    #: One line for people; absent where there is none.
    note: str | None = None


def gateway_of(
    store: Store, given: str | None, http: Callable[[str], PaymentGateway], say: Callable[[str], None]
) -> PaymentGateway | None:
    """The gateway that the store uses from now on: the given one, which is kept, else the one it has.

    `http` makes the gateway at an address; `say` gets one line where the given one replaces another.
    Raises RaterError: a value that is no gateway; nothing is kept then.
    """
    kept = store.setting(GATEWAY)
    named = kept if given is None else given
    gateway = None if named is None else _made(named, http)
    if given is not None and given != kept:
        store.set(GATEWAY, given)
        if kept is not None:
            say(f"{store.path}: the payment gateway is now {given}; it was {kept}")
    return gateway


def _made(named: str, http: Callable[[str], PaymentGateway]) -> PaymentGateway | None:
    if "://" in named:
        return http(named)
    if named == NO_GATEWAY:
        return None
    if named == PRETEND:
        return LocalGateway()
    if named == _DECLINE:
        return LocalGateway(["*"])
    tenants = [tenant for tenant in named.removeprefix(f"{_DECLINE}:").split(",") if tenant]
    if named.startswith(f"{_DECLINE}:") and tenants:
        return LocalGateway(tenants)
    rule, _, rest = named.partition(":")
    if rule in ("approve", "decline"):
        now = PRETEND if rule == "approve" else ":".join([_DECLINE, *filter(None, [rest])])
        raise RaterError(f"--gateway: {named} is written {now} now, because no money is collected; {_EXPECTED}")
    raise RaterError(f"--gateway: {_EXPECTED}, got {named!r}")


def unanswered(store: Reader) -> list[RechargeRequest]:
    """Requests without an answer, in their order."""
    accounts = [account for tenant in store.tenants() if (account := store.account(tenant))]
    waiting = {account.recharge.in_flight.recharge for account in accounts if account.recharge.in_flight}
    if not waiting:
        return []
    requests = (_request_decoder.decode(value) for _, value in store.topic("recharges"))
    return [request for request in requests if request.id in waiting]


def payments_of(store: Reader) -> Payments:
    """What a summary says of the store's payments."""
    kept = store.setting(GATEWAY)
    gateway = None if kept == NO_GATEWAY else kept
    waiting = unanswered(store)
    pretended = gateway is not None and "://" not in gateway
    note = PRETENDED if pretended else _say_waiting(store, waiting) if waiting else None
    return Payments(gateway=gateway, pretended=pretended, waiting=len(waiting), note=note)


def _say_waiting(store: Reader, waiting: list[RechargeRequest]) -> str:
    """How many payments wait, and what to type."""
    what = "1 payment waits" if len(waiting) == 1 else f"{len(waiting)} payments wait"
    line = encode_input(succeeded(waiting[0])).decode()
    run = f"rater run --store {shlex.quote(str(store.path))}"
    return (
        f"{what} for an answer, nothing was credited: `{run} --gateway URL` asks a gateway; or answer with"
        f" `{run} --commands FILE`, a line each: payment_failed, or if it was paid, with the time of that, {line}"
    )
