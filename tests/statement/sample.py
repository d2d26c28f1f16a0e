"""A statement with everything in it, and names that nobody should have."""

import msgspec

from rater.files.statement import Statement
from tests.statement.books import Ledger
from tests.world import HARARE, LONDON, US, at

#: What each is, and what a person should see of it where control characters are shown as numbers.
HOSTILE = {
    "a script": "<script>alert(1)</script>",
    "a formula": '=HYPERLINK("http://evil.example","pay here")',
    "an override of direction": "ada\u202egpj.exe",
    "line ends": "ada\r\nbob\ttab",
    "256 characters": "x" * 256,
    "markup of a terminal": "[bold red]ada[/] :smile: \x1b[31mred",
    "an end of a cell": "ada\"',;</td></table>{{ 7*7 }}{% raw %}",
}


def sample() -> Statement:
    """March of a tenant: calls in and out of the plan, a late one, a correction, money of several kinds."""
    one = Ledger(funds=None)
    one.user("ada", "US", "MCOPSTN5", "MCOPSTNPP")
    one.fund("1234.50", "2025-02-01")
    one.cdr(HARARE, 60, "2025-01-30 10:00", received_at=at("2025-03-09"), id="late")
    one.cdr(HARARE, 61, "2025-02-28 23:59:30", id="straddles")
    one.cdr(HARARE, 21 * 60, "2025-03-10 10:00", id="abroad")
    one.cdr(HARARE, 20 * 60, "2025-03-10 10:00", id="abroad", version=2)
    one.cdr(US, 122 * 60, "2025-03-11 10:00")
    one.cdr("+68212345", 60, "2025-03-11 12:00")
    one.cdr(LONDON, 61, "2025-03-11 12:30")
    one.cdr("+18005550100", 61, "2025-03-12 10:00", user=None, type="ucap_in", calling=US, toll_free=True)
    one.adjust("4.160001", "2025-03-12")
    one.promote("3", "2025-03-13", "2025-03-20")
    one.cdr(HARARE, 60, "2025-04-02 10:00")
    return one.statement("2025-03-01", "2025-04-01")


def named(text: str) -> Statement:
    """The same with a name for the first user, destination and pool."""
    made = sample()
    rename = {
        field: (msgspec.structs.replace(getattr(made, field)[0], **{name: text}), *getattr(made, field)[1:])
        for field, name in (("users", "name"), ("destinations", "name"), ("pools", "pool"))
    }
    return msgspec.structs.replace(made, **rename)
