"""The small deck that comes with rater: hand-written rows with invented prices.

Real price lists are imported with `rater import rates`.
"""

from pathlib import Path

from rater.core import RateDeck
from rater.files.deck_csv import read_deck

BUNDLED = Path(__file__).with_name("demo-rates.csv")


def bundled_deck() -> RateDeck:
    """The deck, version `demo`."""
    return read_deck(BUNDLED, version="demo")
