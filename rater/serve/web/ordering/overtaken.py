"""Orders that set what somebody else has set since they were previewed."""

from rater.core import Account, State, command_key
from rater.embedded.store import Reader
from rater.serve.web.ordering.desk import Order
from rater.serve.web.ordering.shapes import Kind


def is_overtaken(reader: Reader, account: Account, kind: Kind, order: Order) -> bool:
    """Whether what an order replaces is not what its preview showed any more, and not because of itself."""
    if kind.set_now(account, {"brake": order.named}) == order.replaces:
        return False
    return State(reader).seen(command_key(order.tenant, order.id)) is None
