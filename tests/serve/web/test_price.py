"""What would this call cost: the form, and links to it from the calls."""

import json
import re
from html import unescape
from urllib.parse import urlencode

import pytest

from tests.commands import rater
from tests.serve.web.conftest import Open

LONDON = "%2B442079460000"


def test_the_price_is_what_the_command_quotes(lived: Open) -> None:
    """10 minutes to London are 0.50 of credit; they may start."""
    words = lived.visitor("val").get(f"/tenants/contoso/price?called={LONDON}&user=ada&minutes=10").words
    options = ["--called", "+442079460000", "--user", "ada", "--minutes", "10", "--store", str(lived.server.store)]
    quoted = json.loads(rater("quote", "contoso", *options, "--json").stdout)
    assert (quoted["cost"]["charge"], quoted["price"]["per_minute"], quoted["allowed"]) == ("0.5", "0.05", True)
    assert "A call of 10 minutes 0.5 USD" in words
    assert "Yes: credit pays it. For 720 minutes at most." in words
    assert "0.05 USD a minute, in increments of 60/60 seconds; connection fee 0 USD" in words
    assert "Paid by Minutes Charge credit 10 0.5 USD" in words


def test_a_call_that_may_not_start_says_why(lived: Open) -> None:
    """Nobody assigned a licence to bob: it is no price of 0, and the field suggests who is there."""
    shown = lived.visitor("val").get(f"/tenants/contoso/price?called={LONDON}&user=bob")
    assert "No such user: nobody named bob ever had a licence." in shown.words
    assert "The price" not in shown.words
    assert '<option value="ada"></option>' in shown.text


@pytest.mark.parametrize("typed", ["00442079460000", "00 44 20 7946 0000"])
def test_a_number_that_is_dialled_with_00(lived: Open, typed: str) -> None:
    """How it is to be written."""
    query = urlencode({"called": typed, "user": "ada"})
    words = lived.visitor("val").get(f"/tenants/contoso/price?{query}").words
    assert "A number begins with + and the country code: +442079460000." in words


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("called=abc&user=ada", "called: expected"),
        (f"called={LONDON}&user=ada&minutes=0", "minutes: expected 1 to 1440, got 0"),
        (f"called={LONDON}&user=ada&minutes=1441", "minutes: expected 1 to 1440, got 1441"),
        (f"called={LONDON}&user=ada&type=fax", "type: input should be"),
    ],
)
def test_what_cannot_be_read_is_reported(lived: Open, query: str, expected: str) -> None:
    """The form again with what was expected, and with what was typed."""
    shown = lived.visitor("val").get(f"/tenants/contoso/price?{query}")
    assert (shown.status, expected in shown.words, "The price" in shown.words) == (200, True, False)
    assert 'value="ada"' in shown.text


def test_a_call_of_the_list_leads_to_its_price_now(lived: Open) -> None:
    """The link carries number, user, type and minutes."""
    val = lived.visitor("val")
    link = re.search(r'href="(price\?[^"]*)"', val.get("/tenants/contoso/usage").text)
    assert link is not None
    words = val.get(f"/tenants/contoso/{unescape(link[1])}").words
    assert "A call of 2 minutes 0.1 USD" in words
