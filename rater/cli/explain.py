"""`rater explain`: a call's price, line by line; or what moved money that is no call's."""

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Annotated

import msgspec
import typer

from rater.cli.explain_money import explained_money
from rater.cli.kafka_options import Prefix, kafka_settings, talk
from rater.cli.run import DEFAULT_STORE
from rater.cli.sending import Bootstrap, StoreOption
from rater.core import Committed, RatedCall
from rater.core import explain as explained
from rater.embedded.store import Reader, open_reader
from rater.embedded.switch_lines import switch_line_of
from rater.engine.books import Books, payer_of
from rater.kafka.settings import KafkaSettings
from rater.kafka.tenant_books import books_of
from rater.kafka.tenant_topics import rated_calls_of, state_of
from rater.wire.errors import Exit, RaterError
from rater.wire.visible import visible, visible_lines

_calls = msgspec.json.Decoder(RatedCall)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain")(explain)


def explain(
    usage_id: Annotated[
        str,
        typer.Argument(help="The usage id, or - for rated calls on standard input; or what moved money."),
    ],
    tenant: Annotated[str | None, typer.Option(help="Whose it is: on Kafka, and where two share the id.")] = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Explain a call's price, line by line; or what moved money that is no call's.

    Example: rater explain 8d344131a97eea41d7e9d48a832febc2

    On Kafka: rater explain 8d344131a97eea41d7e9d48a832febc2 --tenant contoso --bootstrap 127.0.0.1:9092
    """
    if usage_id == "-":
        for value in _standard_input():
            _print_call(value, None, replaced=False, json=json)
        return
    if bootstrap is not None and store is None:
        if tenant is None:
            raise RaterError("--tenant: expected whose call it is; on Kafka that tenant's partition is read")
        _on_kafka(kafka_settings(bootstrap, prefix), usage_id, tenant, json)
        return
    reader = open_reader(store or DEFAULT_STORE)
    if found := reader.rated_calls(usage_id, tenant):
        _print_calls(reader, found, json)
    else:
        _print_money(reader, usage_id, tenant, json)


def _on_kafka(kafka: KafkaSettings, usage_id: str, tenant: str, json: bool) -> None:
    """A call needs the tenant's calls and state; only for another id its debits and events are read, too."""
    if found := talk(kafka, "operators", rated_calls_of(kafka, tenant, usage_id)):
        _print_calls(talk(kafka, "operators", state_of(kafka, tenant)), found, json)
        return
    with closing(talk(kafka, "operators", books_of(kafka, tenant))) as books:
        _print_money(books, usage_id, tenant, json)


def _print_calls(state: Committed, found: list[bytes], json: bool) -> None:
    """Every rating of a call; of each tenant's the last one stands."""
    last = {_calls.decode(value).tenant: value for value in found}
    for value in found:
        _print_call(value, state, replaced=value not in last.values(), json=json)


def _print_money(books: Books, id: str, tenant: str | None, json: bool) -> None:
    money = [*explained_money(books, id, tenant)]
    if not money:
        raise RaterError(f"{id}: no call with this usage id was rated; see `rater dlq ls`", Exit.FAILED)
    for value, lines in money:
        typer.echo(value if json else visible_lines(lines))


def _print_call(value: bytes, state: Committed | None, *, replaced: bool, json: bool) -> None:
    call = _read_call(value)
    if json:
        typer.echo(value.strip())
        return
    user = payer_of(state, call) if state is not None else None
    parts = [*explained(call, user), *_switch_line(state, call)]
    if replaced:
        parts.insert(1, "  This rating counts no more: the one below replaced it.")
    typer.echo("\n".join(map(visible, parts)))


def _standard_input() -> Iterator[bytes]:
    """Its rated calls, one a line; RaterError if there is none."""
    lines = [line for line in sys.stdin.buffer if line.strip()]
    if not lines:
        raise RaterError(
            "-: expected rated calls in JSON Lines on standard input, got none; in topics a usage id that is a GUID"
            " is written in lower case with dashes",
            Exit.FAILED,
        )
    return iter(lines)


def _read_call(value: bytes) -> RatedCall:
    try:
        return _calls.decode(value)
    except msgspec.DecodeError as wrong:
        raise RaterError(f"expected rated calls in JSON Lines, got {value[:60]!r}: {wrong}") from wrong


def _switch_line(state: Committed | None, call: RatedCall) -> list[str]:
    """What the switch wrote of a call that a mapping read, where a store keeps it."""
    if not isinstance(state, Reader):
        return []
    line = switch_line_of(state.connection, call.tenant, call.usage_id, call.version)
    if line is None:
        return []
    return [
        f"  The switch wrote (read by mapping {line.mapping}, version {line.mapping_version}):",
        "  " + line.raw.decode("utf-8", "replace"),
    ]
