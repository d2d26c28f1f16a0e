"""`rater show statement`: what a tenant had, what moved it, and what is left."""

import sys
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated

import msgspec
import orjson
import typer

from rater.cli.kafka_options import Prefix, kafka_settings, talk
from rater.cli.lookup import known_account
from rater.cli.printing import show_rows
from rater.cli.run import DEFAULT_STORE
from rater.cli.sending import Bootstrap, StoreOption, instant
from rater.core import Account, format_micros
from rater.embedded.store import open_reader
from rater.files.statement import Statement, statement
from rater.kafka.settings import KafkaSettings
from rater.kafka.tenant_topics import records_of, state_of
from rater.wire.errors import Exit, RaterError


def show_statement(
    tenant: Annotated[str, typer.Argument(help="The tenant.")],
    since: Annotated[str | None, typer.Option(help="From when (RFC 3339); what was before is the opening.")] = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Opening, what came in and went out by kind, and the closing balance; exit 1 if it does not add up.

    Example: rater show statement contoso --since 2025-03-01T00:00:00Z
    """
    kafka = kafka_settings(bootstrap, prefix) if bootstrap is not None and store is None else None
    print_statement(tenant, instant("since", since), store or DEFAULT_STORE, kafka, json)


def print_statement(
    tenant: str,
    since: datetime | None,
    store: Path | None,
    kafka: KafkaSettings | None,
    json: bool = False,
    file: IO[str] | None = None,
) -> None:
    """Print the statement; RaterError if it does not add up."""
    account, made = _of_kafka(tenant, since, kafka) if kafka else _of_store(tenant, since, store or DEFAULT_STORE)
    if json:
        plain = {"tenant": tenant, "currency": account.currency, "closed_since": account.closed_since}
        typer.echo(orjson.dumps(plain | {"since": since, **_plain(made)}))
    else:
        print(f"Statement of {tenant} in {account.currency}, {_until(account)}", file=file, flush=True)
        show_rows(("entry", "count", "amount", "balance"), made.rows(), json=False, file=file)
        if not made.complete:
            print("older records are gone: the opening is the balance less what is listed", file=sys.stderr)
    if made.unexplained:
        message = (
            f"the balance is {format_micros(account.balance)}: it differs by {format_micros(made.unexplained)}"
        )
        raise RaterError(f"{tenant}: {message}; run rater verify", Exit.FAILED)


def _until(account: Account) -> str:
    if account.closed_since is None:
        return f"as of {account.clock.isoformat()}"
    owes = f", owes {format_micros(-account.balance)}" if account.balance < 0 else ""
    holds = f", {format_micros(account.balance)} to be paid out" if account.balance > 0 else ""
    return f"closed since {account.closed_since.isoformat()}{owes}{holds}"


def _of_store(tenant: str, since: datetime | None, path: Path) -> tuple[Account, Statement]:
    reader = open_reader(path)
    account = known_account(reader, tenant)
    events, debits = ([value for _, value in reader.topic(name, tenant)] for name in ("account-events", "debits"))
    return account, statement(events, debits, account.balance, since)


def _of_kafka(tenant: str, since: datetime | None, kafka: KafkaSettings) -> tuple[Account, Statement]:
    async def read() -> tuple[Account | None, list[bytes], list[bytes]]:
        found = (await state_of(kafka, tenant)).load("account", (tenant, ""))
        account = found if isinstance(found, Account) else None
        return account, await records_of(kafka, "account-events", tenant), await records_of(kafka, "debits", tenant)

    account, events, debits = talk(kafka, "operators", read())
    if account is None:
        raise RaterError(f"{tenant}: no worker has committed anything of this tenant", Exit.FAILED)
    return account, statement(events, debits, account.balance, since)


def _plain(made: Statement) -> dict[str, object]:
    return {
        "opening": format_micros(made.opening),
        "entries": [msgspec.structs.asdict(one) | {"amount": format_micros(one.amount)} for one in made.entries],
        "closing": format_micros(made.closing),
        "unexplained": format_micros(made.unexplained),
        "complete": made.complete,
    }
