"""`rater tenant close|reopen`: shown before it is sent; a last statement follows a closing."""

import sys
from typing import Annotated

import typer

from rater.cli.kafka_options import Prefix, talk
from rater.cli.money_orders import Closing, Reopening
from rater.cli.run import GatewayOption
from rater.cli.sending import At, Bootstrap, Id, Json, StoreOption, Tenant, at_or_now
from rater.cli.statement import print_statement
from rater.cli.tenant_commands import checked
from rater.cli.tenant_money import By, Reason, Yes, asked, kafka_of, send_money, store_of
from rater.core import AccountEvent, RejectedCdr, TenantClosed
from rater.kafka.settings import KafkaSettings
from rater.kafka.tenant_topics import answer_to, answers_end
from rater.ops.masking import mask_people
from rater.wire.codec import encode_input
from rater.wire.errors import Exit, RaterError
from rater.wire.visible import visible

#: How long a closing on Kafka waits to be rated before it says how to look for the statement later.
WAIT_S = 60.0


def register(group: typer.Typer) -> None:
    """Add the commands to `rater tenant`."""
    group.command("close")(close)
    group.command("reopen")(reopen)


def close(
    tenant: Tenant,
    pay_out: Annotated[
        bool, typer.Option("--pay-out", help="Pay out what is left; promotions are forfeited.")
    ] = False,
    forfeit: Annotated[bool, typer.Option("--forfeit", help="Forfeit all that is left.")] = False,
    reason: Reason = None,
    by: By = None,
    yes: Yes = False,
    id: Id = None,
    at: At = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    gateway: GatewayOption = None,
    json: Json = False,
) -> None:
    """Close a tenant: nothing is covered any more, and a last statement is printed.

    No call may start but emergency calls; running ones are ended. Late records of calls before it are still owed.

    Example: rater tenant close contoso --pay-out --reason "contract ended" --by kim
    """
    if pay_out == forfeit:
        raise RaterError("expected either --pay-out or --forfeit: what becomes of the money that is left")
    order = checked(
        Closing,
        tenant=tenant,
        id=id,
        at=at_or_now(at),
        remainder="pay_out" if pay_out else "forfeit",
        reason=asked("Why", reason),
        by=asked("Who does it", by),
    )
    command, kafka = order.command(), kafka_of(store, bootstrap, prefix)
    ends = talk(kafka, "operators", answers_end(kafka)) if kafka is not None else {}
    send_money(command, yes, store, bootstrap, prefix, gateway, json)
    if kafka is None or _is_rated(kafka, command, ends):
        out = sys.stderr if json else sys.stdout
        print_statement(tenant, store_of(store, bootstrap), kafka, out)


def _is_rated(kafka: KafkaSettings, command: TenantClosed, ends: dict[tuple[str, int], int]) -> bool:
    """Wait for the outcome of the closing; RaterError if it was refused."""
    raw = encode_input(command)
    found = talk(kafka, "operators", answer_to(kafka, command.tenant, command.id, raw, ends, WAIT_S))
    match found:
        case AccountEvent():
            return True
        case RejectedCdr():
            raise RaterError(
                visible(f"{command.tenant}: refused: {found.field}: {mask_people(found.message)}"), Exit.REFUSED
            )
        case None:
            said = f"no worker rated it within {WAIT_S:.0f} s, or the id was used before; later: rater statement"
            print(f"{said} {command.tenant} --bootstrap ...", file=sys.stderr)
            return False


def reopen(
    tenant: Tenant,
    reason: Reason = None,
    by: By = None,
    yes: Yes = False,
    id: Id = None,
    at: At = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    gateway: GatewayOption = None,
    json: Json = False,
) -> None:
    """Open a closed tenant again: licences and settings count as before.

    Money that was paid out or forfeited does not come back by itself: rater tenant adjust gives it. Auto-recharge
    stays stopped until its settings or the payment method change.

    Example: rater tenant reopen contoso --reason "wrong tenant" --by kim
    """
    order = checked(
        Reopening,
        tenant=tenant,
        id=id,
        at=at_or_now(at),
        reason=asked("Why", reason),
        by=asked("Who does it", by),
    )
    send_money(order.command(), yes, store, bootstrap, prefix, gateway, json)
