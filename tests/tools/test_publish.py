"""`rater publish`: which commands put a deck in force, and how an old one is put in force again."""

from pathlib import Path

import pytest

from rater.cli.publish import deck_messages
from rater.contracts.codec import decode_deck
from rater.core.inputs import EVERY_TENANT, RateDeck
from rater.errors import RaterError
from tests.world import DECK, HARARE, World

COLUMNS = DECK.read_text().splitlines()[0]


def published(world: World, deck: Path, again: str | None = None) -> str:
    """Publish a deck for everybody; what a minute to Harare costs then."""
    for topic, _, value in deck_messages([deck], [EVERY_TENANT], "USD", again):
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


def test_a_currency_that_is_none_publishes_nothing() -> None:
    """One clear line, before the first message."""
    with pytest.raises(RaterError, match="expected three capital letters of ISO 4217 such as USD, got 'usd'"):
        next(deck_messages([DECK], [EVERY_TENANT], "usd", None))
