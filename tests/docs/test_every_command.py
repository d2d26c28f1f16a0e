"""Every command that a page shows is understood, and is run by a test or is in a table with the reason why not."""

from collections.abc import Iterator

import pytest

from tests.commands import misunderstood
from tests.conftest import ROOT
from tests.docs import elsewhere, test_clerks_page
from tests.docs.pages import PAGES, Shown, commands_of, shown_on
from tests.docs.stories import Typed, missing, unproven

STORIES: tuple[Typed, ...] = (*test_clerks_page.STORY,)
EVERYTHING = [shown for page in PAGES for shown in shown_on(page)]


def advice(shown: Shown) -> str:
    """What a writer has to do."""
    return (
        f"{shown.place}: `{shown.command}` is run by no test: add it to a story in tests/docs or in"
        " tests/kafka/test_documents.py, or to a table of tests/docs/elsewhere.py with the reason"
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_run(page: str) -> None:
    """By a story, by another test, or it is in the table of what cannot be run."""
    assert [advice(shown) for shown in unproven(shown_on(page), STORIES, elsewhere.known)] == []
