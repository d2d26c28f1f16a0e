"""What else people do on the page: try a recharge now, assign licences, take the calls that are found with them."""

import csv
import io
import json
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rater.core import Account
from rater.embedded.store import open_reader
from rater.serve.web.ended import EndedSessions
from rater.serve.web.ordering.kinds import ASSIGNMENTS_MAX
from rater.serve.web.sessions import SESSION_H
from rater.serve.web.site import WebPage
from tests.serve.web.conftest import HOSTILE, Open
from tests.serve.web.test_orders import order, previewed, sent
from tests.serve.web.world import Shown, Visitor, admitted
from tests.serve.world import Serving


def account(opened: Open) -> Account:
    reader = open_reader(opened.server.store)
    found = reader.account("contoso")
    reader.close()
    assert found is not None
    return found


def commands(opened: Open, *given: dict[str, Any]) -> None:
    at = datetime.now(UTC).isoformat()
    given = tuple({"tenant": "contoso", "at": at} | one for one in given)
    answer = opened.server.switch("office").ask("/v1/commands", json.dumps(given).encode())
    assert answer.body["accepted"] == len(given), answer.body


def test_a_payment_that_failed_is_tried_now(opened: Open) -> None:
    """The wait of an hour after a declined card ends; the page says before whether a payment is asked for."""
    kim = opened.visitor("kim")
    assert "No payment is asked for by this" in previewed(kim, "try-now").words
    settings = {"enabled": True, "trigger": "500", "amount": "60"}
    commands(opened, {"command": "tenant_configured", "id": "recharge-on", "recharge": settings})
    asked = account(opened).recharge.in_flight
    assert asked is not None
    assert "No payment is asked for by this" in previewed(kim, "try-now").words, "one is open"
    commands(opened, {"command": "payment_failed", "id": "declined", "recharge": asked.recharge})
    assert account(opened).recharge.retry_at is not None
    shown = previewed(kim, "try-now")
    assert "A payment is asked for at once." in shown.words
    assert sent(kim, "try-now", shown).path == "/tenants/contoso/recharge?order=accepted"
    second = account(opened).recharge.in_flight
    assert second is not None
    assert second.recharge != asked.recharge
    assert sent(kim, "try-now", shown).path.endswith("order=duplicate")
    assert account(opened).recharge.in_flight == second
    off = {"command": "tenant_configured", "id": "recharge-off", "recharge": {"enabled": False}}
    commands(opened, off, {"command": "payment_failed", "id": "declined-2", "recharge": second.recharge})


def test_the_calls_that_are_found_are_a_file(opened: Open) -> None:
    """The same filters as on the screen, the 20 columns of `rater export usage`."""
    val = opened.visitor("val")
    path = "/tenants/contoso/usage"
    screen = val.get(f"{path}?charge=0.2&user=ada")
    assert "usage/csv?charge=0%2E2&amp;user=ada" in screen.text
    file = val.get(f"{path}/csv?charge=0%2E2&user=ada")
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [(row["UsageId"], row["Charge"], row["Duration Seconds"]) for row in rows] == [("b", "0.20", "240")]
    assert file.headers["Content-Disposition"] == 'attachment; filename="usage.csv"'
    assert len(list(csv.DictReader(io.StringIO(val.get(f"{path}/csv").text)))) >= 3
    assert val.get(f"{path}/csv?charge=4,023").status == 400
    assert val.get(f"{path}/pdf").status == 404
    assert val.get("/tenants/fabrikam/usage/csv").words == val.get("/tenants/nobody/usage/csv").words


def test_money_is_given_back_from_the_list_of_calls(opened: Open) -> None:
    """A link at each call that cost something, for who may order; the form has what may still be given back."""
    assert "orders/adjust" not in opened.visitor("val").get("/tenants/contoso/usage").text
    kim = opened.visitor("kim")
    assert "orders/adjust?call=a" in kim.get("/tenants/contoso/usage").text
    assert 'value="0.1"' in kim.get(f"{order('adjust')}?call=a").text


def uploaded(visitor: Visitor, content: bytes) -> Shown:
    """The preview of a file of licences."""
    form = visitor.get(order("assign-file")).form(f"{order('assign-file')}/preview")
    return visitor.upload(f"{order('assign-file')}/preview", form, "file", content)


def licences_of(opened: Open, user: str) -> str:
    """What the list shows of a user."""
    return opened.visitor("val").get(f"/tenants/contoso/licences?search={user}").words


def test_a_licence_is_assigned_and_removed(opened: Open) -> None:
    """Both are shown before; the list has the licence since then, and a link that removes it."""
    kim = opened.visitor("kim")
    shown = previewed(kim, "assign", user="dora@contoso.example", sku="MCOPSTNPP", country="us")
    assert '"country": "US"' in shown.words
    assert sent(kim, "assign", shown).path == "/tenants/contoso/licences?order=accepted"
    assert "dora@contoso.example MCOPSTNPP US" in licences_of(opened, "dora")
    listed = kim.get("/tenants/contoso/licences?search=dora").text
    link = "orders/remove?user=dora%40contoso%2Eexample&amp;sku=MCOPSTNPP"
    assert link in listed
    form = kim.get(f"/tenants/contoso/{link.replace('&amp;', '&')}")
    assert 'value="dora@contoso.example"' in form.text
    removed = previewed(kim, "remove", user="dora@contoso.example", sku="MCOPSTNPP")
    assert sent(kim, "remove", removed).status == 200
    assert "MCOPSTNPP" not in licences_of(opened, "dora").split("dora@contoso.example")[1]


def test_a_licence_that_the_rules_refuse_is_not_sent(opened: Open) -> None:
    """A country that does not exist."""
    shown = previewed(opened.visitor("kim"), "assign", user="eve@contoso.example", sku="MCOPSTNPP", country="ZZ")
    assert "It would be refused. country: expected an ISO 3166-1" in shown.words


def test_a_file_of_licences_is_shown_before_it_is_sent(opened: Open) -> None:
    """Who gets what, what is held already, what the catalogue does not know; sent once, in one order."""
    kim = opened.visitor("kim")
    content = (
        "UPN,SKU,Usage country\nfay@contoso.example,MCOPSTN1,US\n"
        "fay@contoso.example,MCOPSTNX,US\n<script>@é.example,MCOPSTN1,GB\n"
    )
    shown = uploaded(kim, content.encode())
    words = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "NOW", shown.words)
    assert "2 fay@contoso.example MCOPSTN1 US NOW is assigned" in words
    assert "3 fay@contoso.example MCOPSTNX US NOW is assigned (not in the catalogue; it gives no minutes)" in words
    assert "4 <script>@é.example MCOPSTN1 GB" in words
    assert "<script>@" not in shown.text
    assert "fay" not in licences_of(opened, "fay").split("found.")[1]
    assert sent(kim, "assign-file", shown).path.endswith("licences?order=accepted")
    assert sent(kim, "assign-file", shown).path.endswith("licences?order=duplicate")
    assert "fay@contoso.example MCOPSTN1, MCOPSTNX US" in licences_of(opened, "fay")
    again = uploaded(kim, content.encode("utf-16"))
    assert "UTC is held already" in again.words


def test_the_largest_file_is_one_order(opened: Open) -> None:
    """500 users with long names."""
    kim = opened.visitor("kim")
    rows = [f"{n:03}{'x' * 100}@contoso.example,MCOPSTN1,US" for n in range(ASSIGNMENTS_MAX)]
    shown = uploaded(kim, "\n".join(["UPN,SKU,Usage country", *rows]).encode())
    assert sent(kim, "assign-file", shown).path.endswith("licences?order=accepted")
    assert "500 found" in licences_of(opened, "x" * 100)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "missing columns UPN, SKU, Usage country"),
        (b"UPN,SKU,Usage country\n", "expected 1 to 500 rows"),
        (b"UPN,SKU,Usage country\nada,MCOPSTN1,US\n", "2 UPN expected a user principal name"),
        (b"UPN,SKU,Usage country\na@b,MCOPSTN1,\xff\n", "expected UTF-8 text, got 0xff"),
        (
            b"UPN,SKU,Usage country\n" + b"".join(b"u%d@b,MCOPSTN1,US\n" % n for n in range(ASSIGNMENTS_MAX + 1)),
            "expected 1 to 500 rows",
        ),
    ],
    ids=["empty", "no-rows", "no-upn", "not-utf-8", "too-many"],
)
def test_a_file_that_cannot_be_read_is_an_error(opened: Open, content: bytes, wrong: str) -> None:
    """The form again, with the row and what was expected."""
    shown = uploaded(opened.visitor("kim"), content)
    assert shown.status in (200, 400)
    assert wrong in shown.words or (not content and "it must not be empty" in shown.words)
    assert f"{order('assign-file')}/send" not in shown.text


def test_every_wrong_row_of_a_file_is_named(opened: Open) -> None:
    """Row, column and what was expected of each; nothing is sent, the good row neither."""
    rows = [
        "UPN,SKU,Usage country,Effective from",
        "hal@contoso.example,MCOPSTN1,US,2025-03-01",
        "ida,MCOPSTN1,US,",
        "jan@contoso.example,MCOPSTN1,Narnia,yesterday",
        "hal@contoso.example,MCOPSTN1,US,",
    ]
    kim = opened.visitor("kim")
    shown = uploaded(kim, "\n".join(rows).encode())
    assert "CSV file: wrong cells or rows in the file: 4" in shown.words
    assert "Nothing was sent." in shown.words
    for said in (
        "3 UPN expected a user principal name such as ada@contoso.example, got 'ida'",
        "4 Usage country expected an ISO 3166-1 alpha-2 country, got 'Narnia'",
        "4 Effective from expected a date such as 2025-03-01, or a time with its zone",
        "5 expected once, hal@contoso.example holds MCOPSTN1 in row 2 too",
    ):
        assert said in shown.words
    assert "0 found" in licences_of(opened, "hal")


def test_a_row_says_from_when(opened: Open) -> None:
    """A date is its midnight in UTC, a time has its zone; an empty cell is the time of the order."""
    rows = [
        "UPN,SKU,Usage country,Effective from",
        "kay@contoso.example,MCOPSTN1,US,2025-03-01",
        "lou@contoso.example,MCOPSTN1,US,2025-03-01T09:30:00+01:00",
        "mia@contoso.example,MCOPSTN1,US,",
    ]
    kim = opened.visitor("kim")
    shown = uploaded(kim, "\n".join(rows).encode())
    assert "kay@contoso.example MCOPSTN1 US 2025-03-01 00:00:00 UTC is assigned" in shown.words
    assert "lou@contoso.example MCOPSTN1 US 2025-03-01 08:30:00 UTC is assigned" in shown.words
    assert sent(kim, "assign-file", shown).path.endswith("licences?order=accepted")
    assert "mia@contoso.example MCOPSTN1 US always" not in licences_of(opened, "mia")


def test_a_row_that_the_rules_refuse_is_named(opened: Open) -> None:
    """A name that is longer than names may be: the row, and no button to send the others."""
    rows = [
        "UPN,SKU,Usage country",
        "ned@contoso.example,MCOPSTN1,US",
        f"o@b,{'S' * 128},US",
        "p\u0007@b,MCOPSTN1,US",
    ]
    shown = uploaded(opened.visitor("kim"), "\n".join(rows).encode())
    assert "It would be refused. row 4: user: " in shown.words
    assert f"{order('assign-file')}/send" not in shown.text


@pytest.mark.parametrize(
    ("typed", "effective"),
    [("", None), ("2025-03-01T09:30", "2025-03-01T09:30:00Z"), ("2099-12-31T23:59", "2099-12-31T23:59:00Z")],
)
def test_from_when_a_licence_is_held_can_be_chosen(opened: Open, typed: str, effective: str | None) -> None:
    """In UTC; in the past, or in the future, or left empty; of an assignment and of a removal."""
    kim = opened.visitor("kim")
    fields = {"user": "quinn@contoso.example", "sku": "MCOPSTNPP", "effective": typed}
    for kind in ("assign", "remove"):
        shown = previewed(kim, kind, **fields, **({"country": "US"} if kind == "assign" else {}))
        assert (f'"effective_from": "{effective}"' in shown.words) == (effective is not None)
        assert ("effective_from" in shown.words) == (effective is not None)
        assert sent(kim, kind, shown).status == 200


@pytest.mark.parametrize(
    "typed", ["yesterday", "2025-03-01T09:30Z", "0025-03-01T09:30", "2100-01-01T00:00", "x" * 99]
)
def test_a_time_that_cannot_be_meant(opened: Open, typed: str) -> None:
    """The form again, which says what is expected."""
    shown = previewed(opened.visitor("kim"), "remove", user="a@b", sku="MCOPSTN1", effective=typed)
    assert (shown.status, "expected a date and a time of the years 2000 to 2099" in shown.words) == (400, True)


def test_licences_count_what_was_bought(opened: Open) -> None:
    """Audio Conferencing: users who hold it beside how many were bought."""
    commands(
        opened,
        {"command": "tenant_configured", "id": "bought", "audio_conferencing_licenses": 7},
        {"command": "license_assigned", "id": "gus", "user": "gus@contoso.example", "sku": "MCOMEETADV", "country": "US"},
    )  # fmt: skip
    assert "Users with Audio Conferencing 1 7" in licences_of(opened, "gus")


@pytest.mark.parametrize("kind", ["assign", "remove"])
def test_hostile_names_are_text(opened: Open, kind: str) -> None:
    """What a link fills in, what the form shows again, and what the preview says."""
    olga = opened.visitor("olga")
    shown = previewed(olga, kind, user=HOSTILE[:128], sku="<script>alert(2)</script>", country="US")
    for page in (shown, olga.get(f"{order(kind)}?user=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&sku=x")):
        assert page.status == 200
        assert "<script>alert" not in page.text


def test_signing_out_holds_at_every_server(tmp_path: Path) -> None:
    """Two servers with the same people and key: a copy of the cookie counts no more at either."""
    first, second = admitted(tmp_path), tmp_path / "second"
    second.mkdir()
    page: WebPage = first.page
    with Serving(tmp_path, page=page) as one, Serving(second, page=page._replace(people=page.people)) as other:
        kim = Visitor(f"http://127.0.0.1:{one.port}")
        kim.sign_in(first.tokens["kim"])
        (cookie,) = [cookie for cookie in kim.cookies if cookie.name == "rater-session"]
        copied = {"Cookie": f"{cookie.name}={cookie.value}"}
        thief = Visitor(f"http://127.0.0.1:{other.port}")
        assert thief.get("/tenants/contoso/credits", **copied).path == "/tenants/contoso/credits"
        kim.post("/sign-out", kim.get("/tenants/contoso/credits").form("/sign-out"))
        assert thief.get("/tenants/contoso/credits", **copied).path == "/sign-in"


def test_a_session_that_is_over_is_forgotten(tmp_path: Path) -> None:
    """Its file is deleted at the next sign-out; a folder that cannot be written holds it in this process."""
    ended = EndedSessions(tmp_path / "ended", SESSION_H)
    ended.add("old")
    over = time.time() - SESSION_H * 3600 - 1
    os.utime(tmp_path / "ended" / "old", (over, over))
    ended.add("new")
    assert ("old" in ended, "new" in ended) == (False, True)
    (tmp_path / "file").touch()
    unwritten = EndedSessions(tmp_path / "file", SESSION_H)
    unwritten.add("here")
    assert "here" in unwritten


@pytest.mark.parametrize("kind", ["assign", "remove"])
def test_what_changes_nothing_is_not_sent(opened: Open, kind: str) -> None:
    """Ada holds MCOPSTNPP already, and no MCOPSTN9; another country of hers would be a change."""
    kim, held = opened.visitor("kim"), {"assign": "MCOPSTNPP", "remove": "MCOPSTN9"}[kind]
    shown = previewed(kim, kind, user="ada", sku=held)
    assert "Nothing would change, so there is nothing to send." in shown.words
    assert "Send it" not in shown.words
    assert "Send it" in previewed(kim, "assign", user="ada", sku="MCOPSTNPP", country="DE").words
