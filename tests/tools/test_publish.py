"""`rater publish`: which commands put a deck in force, and how an old one is put in force again."""

from pathlib import Path

from rater.cli.publish import Plan, command_messages, deck_messages
from rater.core.inputs import EVERY_TENANT, RateDeck
from rater.engine.deck_plan import DeckBooks
from rater.files.deck_csv import read_deck
from rater.wire.codec import RECORD_BYTES_MAX, decode_deck
from rater.wire.errors import RaterError
from tests.commands import invoke
from tests.world import DECK, HARARE, World, at

COLUMNS = DECK.read_text().splitlines()[0]


def published(world: World, deck: Path, again: str | None = None) -> str:
    """Publish a deck for everybody; what a minute to Harare costs then."""
    version = read_deck(deck)
    nobody = DeckBooks(EVERY_TENANT, {}, (), (), lambda _: False)
    plan = Plan(nobody, [version], at("2025-03-01 00:00"), again)
    for topic, _, value in deck_messages([version], plan.commands):
        if topic == "rate-decks":
            read = decode_deck(value)
            assert isinstance(read, RateDeck)
            world.engine.publish(read)
        else:
            world._submit("command", value)
    return world.call(HARARE).charge


def test_an_old_deck_is_put_in_force_again(tmp_path: Path) -> None:
    """Publishing twice changes nothing, so a roll-back has a name of its own, which counts once."""
    for name, price in (("old", "0.2"), ("wrong", "2")):
        (tmp_path / name).write_text(f"{COLUMNS}\noutbound,263,Zimbabwe,ZW,landline,{price},0,60,60,,\n")
    world = World(deck=False).user("ada", "US", "MCOPSTNPP")
    assert published(world, tmp_path / "old") == "0.2"
    assert published(world, tmp_path / "wrong") == "2"
    assert published(world, tmp_path / "old") == "2"
    assert published(world, tmp_path / "old", "rollback-1") == "0.2"
    assert published(world, tmp_path / "wrong", "fixed") == "2"
    assert published(world, tmp_path / "old", "rollback-1") == "2"


def test_an_invalid_currency_publishes_nothing() -> None:
    """One clear line, before the first message."""
    result = invoke("publish", "--deck", str(DECK), "--currency", "usd")
    assert isinstance(result.exception, RaterError)
    assert "expected three capital letters of ISO 4217 such as USD, got 'usd'" in str(result.exception)


def test_a_command_that_is_too_long_is_not_published(tmp_path: Path) -> None:
    """Its beginning is no command; it is reported, and the others are published."""
    tick = '{"command":"tick","tenant":"contoso","id":"%s","at":"2025-03-01T00:00:00Z"}\n'
    path = tmp_path / "commands.jsonl"
    path.write_text(tick % "a" + tick % ("x" * RECORD_BYTES_MAX) + tick % "b")
    refused: list[str] = []
    published = [value.decode() + "\n" for _, _, value in command_messages([path], refused)]
    assert published == [tick % "a", tick % "b"]
    (said,) = refused
    assert said.startswith(f"{path}:2: expected at most 1000000 bytes (RECORD_BYTES_MAX), got 10000")
