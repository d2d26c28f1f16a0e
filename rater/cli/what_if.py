"""`rater what-if`: a month replayed with another price list, other commands or other settings."""

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from rater.cli.counting import counting
from rater.cli.kafka_options import Prefix, kafka_settings, talk
from rater.cli.lookup import check_period, known_account
from rater.cli.run import DEFAULT_STORE
from rater.cli.what_if_shown import Format, show
from rater.core import RateDeck
from rater.embedded.store import open_reader
from rater.embedded.what_if import compare
from rater.engine.comparison import Comparison
from rater.engine.difference import lines_of
from rater.engine.substitutes import Exchange, Substitutes, read_exchange, read_setting
from rater.files.command_file import Placed, read_commands, read_names
from rater.files.deck_csv import read_deck
from rater.kafka.deck_books import published_decks
from rater.kafka.settings import KafkaSettings, rating_of_environment
from rater.kafka.tenant_topics import state_of
from rater.kafka.what_if.comparing import READ
from rater.kafka.what_if.comparing import compare as compare_topics
from rater.ops.doctor.rights import must_read
from rater.ops.garbage_collection import expect_long_lives
from rater.ops.masking import mask_people
from rater.wire.errors import Exit, RaterError
from rater.wire.visible import visible

#: Commands that are named, refused ones and others.
_NAMED_MAX = 20

Period = Annotated[str, typer.Option(help="The month, in UTC (YYYY-MM).")]
Deck = Annotated[
    str | None,
    typer.Option(help="Another price list: a CSV file, or a version that was published.", metavar="DECK"),
]
Currency = Annotated[str, typer.Option(help="The currency of the CSV file.")]
Commands = Annotated[
    list[Path] | None,
    typer.Option(help="JSON Lines of commands within the month; one with the id of a real one replaces it."),
]
Setting = Annotated[
    list[str] | None, typer.Option(help="Another setting of the rules, such as straddle=whole_to_credits.")
]
Instead = Annotated[
    str | None,
    typer.Option(help="With --tenant: another licence instead, such as MCOPSTN1=MCOPSTN2.", metavar="OLD=NEW"),
]
Users = Annotated[
    Path | None, typer.Option(help="With --instead: only the users of this file, a name a line; else everybody.")
]
StoreOption = Annotated[Path | None, typer.Option(help=f"The store ({DEFAULT_STORE}), if no broker is given.")]
Bootstrap = Annotated[
    str | None, typer.Option(envvar="RATER_BOOTSTRAP", help="Addresses of brokers: their topics are replayed.")
]
OfTenant = Annotated[str | None, typer.Option("--tenant", help="Only this tenant.")]
FormatOption = Annotated[Format, typer.Option(help="The file format.")]
Out = Annotated[str, typer.Option(help="The file, or - for standard output (text, json, csv).")]
Lines = Annotated[int, typer.Option(min=1, max=100_000, help="How many lines of a table are printed, as text.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("what-if")(what_if)


def what_if(
    period: Period,
    deck: Deck = None,
    currency: Currency = "USD",
    commands: Commands = None,
    setting: Setting = None,
    instead: Instead = None,
    users: Users = None,
    tenant: OfTenant = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    format: FormatOption = "text",
    out: Out = "-",
    lines: Lines = 10,
) -> None:
    """What a month would have cost with another price list, other licences or other settings; nothing is changed.

    What is kept is replayed in its order through the same rules, from the last snapshot before the month on, with
    what you substitute from its beginning on. Shown are the differences by tenant, plan, destination and user.
    Without a substitute nothing is different, to the micro-unit; if something is, exit 1.
    A payment that was asked for in reality, too, is answered as it was; any other as the tenant's next one was.

    Example: rater what-if --period 2025-03 --deck B.csv --format xlsx --out difference.xlsx

    Example: rater what-if --period 2025-03 --tenant contoso --instead MCOPSTN1=MCOPSTN2 --users forty.txt

    On Kafka: rater what-if --period 2025-03 --deck B.csv --bootstrap 127.0.0.1:9092
    """
    check_period(period)
    _check_out(out, format)
    placed = [one for path in commands or () for one in read_commands(path)]
    others = tuple([one.command for one in placed])
    settings = dict(map(read_setting, setting or ()))
    substitutes = Substitutes(period, tenant, _list(deck, currency), others, settings, _exchange(instead, users))
    substitutes.check()
    kafka = kafka_settings(bootstrap, prefix) if bootstrap is not None and store is None else None
    substitutes, found = _compared(store or DEFAULT_STORE, kafka, substitutes, deck)
    show(found, substitutes, format, out, lines)
    _end(found, substitutes, placed)


def _list(deck: str | None, currency: str) -> RateDeck | None:
    """The price list of a file; None where none is given, or a version that was published."""
    return read_deck(Path(deck), currency=currency) if deck and _is_file(deck) else None


def _exchange(instead: str | None, users: Path | None) -> Exchange | None:
    """Which licence is held instead of which, by whom; without a file the users are found later."""
    if instead is None:
        if users is not None:
            raise RaterError("--users: expected --instead, which says what they hold")
        return None
    exchange = read_exchange(instead)
    return exchange if users is None else msgspec.structs.replace(exchange, users=read_names(users), named=True)


def _compared(
    store: Path, kafka: KafkaSettings | None, substitutes: Substitutes, deck: str | None
) -> tuple[Substitutes, Comparison]:
    """Replay Kafka's topics or a store; the substitutes with the list of `deck`, a version unless they have it."""
    version = deck if substitutes.deck is None else None
    expect_long_lives()
    with counting("records replayed") as progress:
        if kafka is None:
            return _over_store(store, substitutes, version, progress)
        return talk(kafka, "operators", _over_topics(kafka, substitutes, version, progress))


def _check_out(out: str, format: Format) -> None:
    if out != "-" and format in ("text", "json"):
        raise RaterError(f"--out: {format} goes to standard output; for a file expected --format csv or xlsx")


def _is_file(deck: str) -> bool:
    """Whether a price list is a file, and not a version that was published."""
    return Path(deck).suffix == ".csv" or Path(deck).is_file()


def _over_store(
    store: Path, substitutes: Substitutes, version: str | None, progress: Callable[[int], None]
) -> tuple[Substitutes, Comparison]:
    """Replay a store; the substitutes with the list of a version."""
    with closing(open_reader(store)) as reader:
        if substitutes.tenant is not None:
            known_account(reader, substitutes.tenant)
        if version is not None:
            substitutes = _with(substitutes, version, {deck.version: deck for deck in reader.decks()}, str(store))
        substitutes = substitutes.for_users(partial(reader.names, "user"))
    return substitutes, compare(store, substitutes, progress, partial(print, file=sys.stderr))


async def _over_topics(
    settings: KafkaSettings, substitutes: Substitutes, version: str | None, progress: Callable[[int], None]
) -> tuple[Substitutes, Comparison]:
    """Replay topics, after a look whether everything may be read; the substitutes with the list of a version."""
    await must_read(settings, READ)
    if version is not None:
        decks = await published_decks(settings)
        substitutes = _with(substitutes, version, decks, settings.topic("rate-decks"))
    if substitutes.exchange is not None and substitutes.tenant is not None:
        state = await state_of(settings, substitutes.tenant)
        substitutes = substitutes.for_users(lambda _: sorted(name for _, name in state.entities["user"]))
    say: Callable[[str], None] = partial(print, file=sys.stderr)
    return substitutes, await compare_topics(settings, rating_of_environment(), substitutes, progress, say)


def _with(substitutes: Substitutes, version: str, decks: Mapping[str, RateDeck], where: str) -> Substitutes:
    """The substitutes with a published list; RaterError if there is none of this version."""
    if version not in decks:
        raise RaterError(f"--deck: expected a CSV file or the version of a deck in {where}, got {version!r}")
    return msgspec.structs.replace(substitutes, deck=decks[version])


def _print_remarks(found: Comparison, placed: Iterable[Placed]) -> None:
    """Print of each substitute that was refused why, and of others what to know; where each is in its file."""
    places = {(one.command.tenant, one.command.id): one.where for one in placed}
    refused = [(one.command, f"refused: {one.why}") for one in found.refused]
    applied = [(one.command, f"warning: {one.text}") for one in found.remarks]
    for some, what in ((refused, "were refused"), (applied, "have a warning")):
        for command, text in some[:_NAMED_MAX]:
            place = places.get((command.tenant, command.id))
            where = f"{command.tenant}, id {command.id}" if place is None else f"{place}: id {command.id}"
            print(visible(f"rater: {where}: {mask_people(text)}"), file=sys.stderr)
        if len(some) > _NAMED_MAX:
            print(f"rater: ... and {len(some) - _NAMED_MAX} more {what}", file=sys.stderr)


def _end(found: Comparison, substitutes: Substitutes, placed: Iterable[Placed]) -> None:
    """Print what to know beside the figures; exit 3 if a substitute was refused, 1 for a difference without any."""
    _print_remarks(found, placed)
    if assumed := found.assumed_paid + found.assumed_declined:
        print(
            f"{assumed:,} recharges were not asked for in reality; answered as the tenant's next payment was:"
            f" {found.assumed_paid:,} paid, {found.assumed_declined:,} declined",
            file=sys.stderr,
        )
    if found.left_out:
        print(
            f"{found.left_out:,} calls of {substitutes.period} are left out, their inputs are not kept:"
            f" {found.why_left_out}",
            file=sys.stderr,
        )
    print(f"{found.records:,} records replayed; nothing was changed", file=sys.stderr)
    if found.refused:
        raise typer.Exit(Exit.REFUSED)
    if substitutes.is_empty and any(line.differs for line in lines_of(found.was, found.would_be)):
        raise RaterError("nothing was substituted, and figures differ: run rater verify", Exit.FAILED)
