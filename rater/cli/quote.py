"""`rater quote`: what a call would cost, before it is made."""

from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from rater.cli.kafka_options import Prefix, kafka_settings, talk
from rater.cli.printing import show_facts, show_rows
from rater.cli.rules_of import settings_of
from rater.cli.run import DEFAULT_STORE
from rater.cli.sending import Bootstrap, StoreOption
from rater.core import (
    AUTHORIZED_S_MAX,
    Answer,
    CallType,
    Committed,
    NumberType,
    Question,
    RateDeck,
    RatingSettings,
    Refusal,
    Rules,
    Tariffs,
    Why,
    authorize,
)
from rater.embedded.store import open_reader
from rater.kafka.deck_books import published_decks
from rater.kafka.settings import KafkaSettings, rating_of_environment
from rater.kafka.tenant_topics import state_of
from rater.serve.authorize_page import Authorization, authorization_of
from rater.wire.errors import Exit, RaterError
from rater.wire.instants import read_instant

#: The length that is priced if none is given; near the mean of business calls.
TYPICAL_MINUTES = 3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("quote")(quote)


def quote(
    tenant: Annotated[str, typer.Argument(help="Whose call it is.")],
    called: Annotated[str | None, typer.Option(help="The number that is called (E.164).")] = None,
    user: Annotated[str | None, typer.Option(help="Who calls.")] = None,
    calling: Annotated[str | None, typer.Option(help="The number that calls (E.164).")] = None,
    type: Annotated[CallType, typer.Option(help="What kind of call it is.")] = CallType.USER_OUT,
    number_type: Annotated[NumberType, typer.Option(help="Of the called number of ours.")] = NumberType.TOLL,
    minutes: Annotated[
        int, typer.Option(min=1, max=AUTHORIZED_S_MAX // 60, help="How long the call is to last.")
    ] = TYPICAL_MINUTES,
    at: Annotated[str | None, typer.Option(help="When it starts (RFC 3339); now if not given.")] = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    json: Annotated[bool, typer.Option("--json", help="JSON, as of /v1/authorize.")] = False,
) -> None:
    """What a call would cost, who would pay it, and whether it may start; nothing is changed.

    It is priced as its record would be, with the minutes and the money that are left as of the last commit. Calls
    that run are not counted: `GET /v1/authorize` with length_s counts them.

    Example: rater quote contoso --user ada@contoso.example --called +442079460018 --minutes 10
    """
    question = Question(
        tenant=tenant, type=type, user=user, calling=calling, called=called, number_type=number_type
    )
    started_at = datetime.now(UTC) if at is None else read_instant("--at", at)
    if bootstrap is not None and store is None:
        answer = _on_kafka(kafka_settings(bootstrap, prefix), question, started_at, 60 * minutes)
    else:
        with closing(open_reader(store or DEFAULT_STORE)) as reader:
            answer = _answer(reader, settings_of(reader), reader.decks(), question, started_at, 60 * minutes)
    if json:
        typer.echo(msgspec.json.encode(authorization_of(answer)))
    else:
        _print(authorization_of(answer))


def _on_kafka(kafka: KafkaSettings, question: Question, at: datetime, seconds: int) -> Answer:
    state = talk(kafka, "operators", state_of(kafka, question.tenant))
    decks = talk(kafka, "operators", published_decks(kafka))
    return _answer(state, rating_of_environment(), decks.values(), question, at, seconds)


def _answer(
    committed: Committed,
    settings: RatingSettings,
    decks: Iterable[RateDeck],
    question: Question,
    at: datetime,
    seconds: int,
) -> Answer:
    answer = authorize(committed, Rules(settings, Tariffs.of(decks)), question, at, length_s=seconds)
    if isinstance(answer, Refusal):
        raise RaterError(f"--{answer.field.replace('_', '-')}: {answer.message}")
    if answer.reason is Why.UNKNOWN_TENANT:
        raise RaterError(f"{question.tenant}: expected a tenant that was configured", Exit.FAILED)
    return answer


def _print(found: Authorization) -> None:
    """Who pays for which minutes, then what the call costs and whether it may start."""
    cost, price = found.cost, found.price
    if cost is not None:
        rows = [(part.pool or part.pocket.value, part.minutes, part.charge) for part in cost.segments]
        show_rows(("pocket", "minutes", "charge"), rows, json=False)
    facts: dict[str, object] = {}
    if cost is not None:
        facts["this call"] = f"{cost.minutes} minutes, {cost.charge} {cost.currency}"
        if cost.unfunded_charge != "0":
            facts["paid by nobody"] = f"{cost.unfunded_charge} {cost.currency}"
    if price is not None:
        facts["from credit"] = f"{price.per_minute} {price.currency} a minute ({price.increments})"
        facts["connection fee"] = f"{price.connection_fee} {price.currency}"
        facts["destination"] = price.destination
    facts["may start"] = (
        f"{'yes' if found.allowed else 'no'}, {found.reason.value}{f' ({found.brake})' if found.brake else ''}"
    )
    if found.allowed:
        facts["at most"] = f"{found.seconds} s"
    show_facts(facts, json=False)
