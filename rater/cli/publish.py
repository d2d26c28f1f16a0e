"""`rater publish`: files to topics."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from rater.cli.bridge import carry_over
from rater.cli.counting import counting
from rater.cli.deck_review import AcceptChanges, look_at, say_in_force
from rater.cli.kafka_options import Bootstrap, Prefix, kafka_options, kafka_settings, talk
from rater.cli.written_options import Encoding, MapOption, Times, Version, Zone, mapping_of, written
from rater.core import EVERY_TENANT, CallEvent, DeckActivated, RateDeck, Refusal, Source
from rater.engine.batch import Record
from rater.engine.deck_plan import DeckBooks, activation_of, with_decks
from rater.files.deck_csv import read_deck
from rater.files.licenses import Licenses, unknown_in_commands
from rater.files.mappings import Mapping
from rater.files.recognise import FORMATS, check_format
from rater.files.source import InputFile
from rater.files.written import AS_IT_IS, Written
from rater.kafka.batch_publisher import Message, publish
from rater.kafka.deck_books import deck_books
from rater.kafka.deck_publisher import publish_decks, split_decks
from rater.kafka.messages import event_message, message_of
from rater.kafka.settings import DEFAULT_BOOTSTRAP, KafkaSettings
from rater.ops.masking import mask_people
from rater.wire.codec import encode_input
from rater.wire.errors import Exit, RaterError
from rater.wire.instants import read_instant

Files = Annotated[list[str] | None, typer.Argument(help="CDR files, or - for standard input.", metavar="FILE...")]
Commands = Annotated[list[Path] | None, typer.Option(help="Commands in JSON Lines.")]
LicenseLists = Annotated[
    list[Path] | None, typer.Option(help="CSV of UPN, SKU, Usage country; needs --tenant and --at.")
]
At = Annotated[str | None, typer.Option(help="From when licences are effective (RFC 3339).")]
Decks = Annotated[list[Path] | None, typer.Option(help="A rate deck in CSV.")]
Activate = Annotated[
    list[str] | None, typer.Option(help="Put the decks in force for this tenant only (may be given again).")
]
Again = Annotated[
    str | None,
    typer.Option(
        help="Put a deck in force that another has replaced: a new name for this time, such as rollback-1."
        " Without it, or with the same name, a deck that was in force before is not put in force again."
    ),
]
Currency = Annotated[
    str, typer.Option(help="The currency of the decks, ISO 4217: the tenants' whose calls they price.")
]
Tenant = Annotated[str | None, typer.Option(help="The tenant of files that do not name one.")]
Rate = Annotated[int | None, typer.Option(min=1, max=10_000_000, help="Publish at most so many records a second.")]
FromTopic = Annotated[
    str | None,
    typer.Option(
        help="Publish what a switch puts into this topic itself, mapped by --map, exactly once; until SIGTERM."
    ),
]
Format = Annotated[str | None, typer.Option(help=f"One of {', '.join(FORMATS)}; recognised if not given.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("publish")(publish_files)


def publish_files(
    files: Files = None,
    commands: Commands = None,
    licenses: LicenseLists = None,
    at: At = None,
    deck: Decks = None,
    activate: Activate = None,
    again: Again = None,
    accept_changes: AcceptChanges = False,
    currency: Currency = "USD",
    tenant: Tenant = None,
    format: Format = None,
    rate: Rate = None,
    times: Times = None,
    zone: Zone = None,
    encoding: Encoding = None,
    call_version: Version = None,
    map: MapOption = None,
    from_topic: FromTopic = None,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
) -> None:
    """Publish decks, commands, licences and call-detail records, in this order; publishing twice changes nothing.

    A deck is put in force for every tenant of its currency, unless --activate names some; again only with --again.
    It is compared with the one in force first; one that changes much is refused without --accept-changes.

    Exit 3 if rows of a file could not be read, or it is not all there: that is reported, and the rest is published.

    Example: rater publish --deck rates.csv --commands setup.jsonl cdrs.jsonl
    """
    if from_topic is not None:
        carry_over(kafka_settings(bootstrap, prefix), from_topic, map, tenant)
        return
    check_format(format)
    as_written = written(times, zone, encoding, call_version)
    mapping = mapping_of(map, format, as_written)
    refused: list[str] = []
    versions = [read_deck(path, currency=currency) for path in deck or ()]
    settings = kafka_settings(bootstrap, prefix)
    owners = activate or [EVERY_TENANT]
    books = talk(settings, "publisher", deck_books(settings, owners)) if versions else {}
    plans = [Plan(books[owner], versions, datetime.now(UTC), again) for owner in owners if versions]
    for plan in plans:
        plan.look(accepted=accept_changes)
    decks, in_force = split_decks(deck_messages(versions, [command for plan in plans for command in plan.commands]))
    messages = chain(
        in_force,
        command_messages(commands or [], refused),
        _license_messages(licenses or [], tenant, at),
        _call_messages(files or [], tenant, format, refused, as_written, mapping),
    )
    published = Counter(topic for topic, _, _ in decks)
    with counting("published") as progress:
        _publish(settings, decks, _counted(messages, published), progress, rate)
    typer.echo(said_of(published), err=True)
    for plan in plans:
        plan.say(kafka_options(bootstrap, prefix))
    _end(refused)


def said_of(published: Counter[str]) -> str:
    """How many call records, and how much else, in words; a command for everybody is one."""
    words = {"cdrs": "call records", "commands": "commands", "rate-decks": "decks", "call-events": "call events"}
    counts = [f"{published[topic]:,} {word}" for topic, word in words.items() if published.get(topic)]
    return f"published: {', '.join(counts) or 'nothing'}"


def _counted(messages: Iterator[Message], published: Counter[str]) -> Iterator[Message]:
    for message in messages:
        published[message[0]] += 1
        yield message


def _end(refused: list[str]) -> None:
    """List what was refused; exit 3 if anything was."""
    for line in refused:
        typer.echo(line, err=True)
    if refused:
        raise typer.Exit(Exit.REFUSED)


class Plan:
    """What putting decks in force comes to for one owner.

    Each is activated under the id of its version, so that publishing twice changes nothing; the last one whose id
    was not applied before will be in force.
    """

    def __init__(self, books: DeckBooks, decks: list[RateDeck], now: datetime, again: str | None) -> None:
        self.commands: list[DeckActivated] = []
        self._books, self._now = books, now
        self._new: RateDeck | None = None
        self._last = decks[-1]
        self._replaced: RateDeck | None = None
        for deck in decks:
            id = f"deck-{deck.version}-{again}" if again else f"deck-{deck.version}"
            command = activation_of(with_decks(books, decks), deck, now, id=id)
            assert command is not None, "an id is given"
            self.commands.append(command)
            if not books.applied(id):
                self._new = deck

    def look(self, *, accepted: bool) -> None:
        """Compare with the deck in force; RaterError if somebody has to accept the changes."""
        if self._new is not None:
            nothing = "nothing was published"
            self._replaced = look_at(self._books, self._new, self._now, accepted=accepted, nothing=nothing)

    def say(self, where: str) -> None:
        """Which deck counts, and how it is taken back; `where` are the options of the command for that."""
        if self._new is not None:
            say_in_force(self._new, self._replaced, self._books.owner, where)
            return
        version = self._last.version
        held = self._books.in_force(self._last.currency, self._now)
        state = "is in force already: no changes"
        if held is None or held.version != version:
            state = (
                f"was in force before and was replaced; to put it in force again: rater rates activate {version}"
            )
        typer.echo(f"deck {version} {state}{'' if state.endswith('changes') else where}", err=True)


def deck_messages(decks: list[RateDeck], commands: list[DeckActivated]) -> Iterator[Message]:
    """The decks, then their activations."""
    for deck in decks:
        yield "rate-decks", deck.version, encode_input(deck)
    for command in commands:
        yield "commands", command.tenant, encode_input(command)


def _publish(
    settings: KafkaSettings,
    decks: list[Message],
    messages: Iterator[Message],
    progress: Callable[[int], None],
    rate: int | None,
) -> None:
    """Publish decks, then the rest: a deck is there before the first command that names it."""
    if decks:
        talk(settings, "publisher", publish_decks(settings, decks))
    talk(settings, "publisher", publish(settings, messages, progress, rate))


def command_messages(paths: list[Path], refused: list[str]) -> Iterator[Message]:
    """The commands of files; those that are longer than any record become lines for people."""
    for path in paths:
        _warn(unknown_in_commands(path))
        for record in InputFile(str(path), "commands").records():
            assert isinstance(record, Record), "these are files of commands, not of call events"
            if isinstance(record.decoded, Refusal):
                refused.append(_not_published(str(path), record.source, record.decoded))
            else:
                yield message_of(record)[0]


def _license_messages(paths: list[Path], tenant: str | None, at: str | None) -> Iterator[Message]:
    if not paths:
        return
    if tenant is None or at is None:
        raise RaterError("--licenses: expected --tenant, whose they are, and --at, from when they are effective")
    instant = read_instant("--at", at)
    for path in paths:
        licenses = Licenses(path)
        _warn(licenses.warnings)
        for command in licenses.commands(tenant, instant):
            yield "commands", tenant, encode_input(command)


def _warn(lines: list[str]) -> None:
    for line in lines:
        typer.echo(f"rater: {line}", err=True)


def _call_messages(
    files: list[str],
    tenant: str | None,
    format: str | None,
    refused: list[str],
    as_written: Written = AS_IT_IS,
    mapping: Mapping | None = None,
) -> Iterator[Message]:
    """The files' records; rows that cannot be read, and files that are not all there, become lines for people."""
    for name in files:
        file = InputFile(name, format, tenant, written=as_written, mapping=mapping)
        for record in file.records():
            if isinstance(record, CallEvent):
                yield event_message(record)
            elif isinstance(record.decoded, Refusal):
                refused.append(_not_published(name, record.source, record.decoded))
            else:
                yield message_of(record)[0]
        _warn(file.remarks)
        _warn([f"{name}: {count} not selected: {reason}" for reason, count in sorted(file.not_selected.items())])
        if file.incomplete:
            refused.append(file.incomplete)


def _not_published(name: str, source: Source, wrong: Refusal) -> str:
    """A row that cannot be read, or not as a whole, in a line for people."""
    where = f"{name}:{source.offset}: {wrong.field}".removesuffix(": ")
    return f"{where}: {mask_people(wrong.message)}"
