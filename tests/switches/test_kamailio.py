"""A real Kamailio and real SIP over a store: may a call start, for how long, when must it end, what is billed."""

import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rater.core import DisconnectReason, Pocket
from tests.switches.kamailio import NAME, SHIPPED, missing
from tests.switches.phones import Caller
from tests.switches.site import CUT_WITHIN_S, LONDON, PARIS, QUICK, US, Site, costly, site
from tests.waiting import until

pytestmark = [
    pytest.mark.xdist_group("kamailio"),
    pytest.mark.skipif(missing() is not None, reason=missing() or "everything is here"),
]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for all tests that do not stop parts of it; each has a tenant of its own."""
    with site(tmp_path_factory.mktemp("kamailio"), QUICK) as running:
        yield running


def test_a_call_that_the_bundle_covers(one: Site) -> None:
    """Of 120 minutes one is used, for as many seconds as Kamailio says; the money stays."""
    tenant = one.tenant("bundle", "5", sku="MCOPSTN5")
    caller = one.call("hangs_up", tenant, US, "-d", "1200")
    assert caller.wait() == 0
    rated, said = one.rated(caller), one.kamailio.written(caller.id)
    assert (rated.usage_id, rated.duration_s, rated.minutes) == (said.usage_id, said.duration_s, 1)
    assert [(part.pocket, part.minutes) for part in rated.segments] == [(Pocket.POOL, 1)]
    assert one.balance(tenant) == "5"


def test_a_call_that_is_paid_with_credit(one: Site) -> None:
    """Its caller hangs up after 1.2 seconds: each second that began costs 0.10, as Kamailio counts them."""
    tenant = one.tenant("credit", "5")
    caller = one.call("hangs_up", tenant, LONDON, "-d", "1200")
    assert caller.wait() == 0
    rated, said = one.rated(caller), one.kamailio.written(caller.id)
    assert rated.duration_s == said.duration_s >= 2
    assert rated.answered_at == datetime.fromtimestamp(0, UTC) + timedelta(microseconds=said.began_us)
    assert (rated.charge, rated.authorized_s) == (f"{said.duration_s / 10:g}", None)
    assert one.balance(tenant) == f"{5 - said.duration_s / 10:g}"


@pytest.mark.parametrize(
    ("tenant", "called", "says"),
    [
        pytest.param("broke", LONDON, "402 Payment Required (credits_suspended)", id="no money"),
        pytest.param("nobody", LONDON, "402 Payment Required (unknown_tenant)", id="a tenant that is not known"),
        pytest.param("broke", "+4420794600001234567890", "484 Address Incomplete", id="a number that no call has"),
    ],
)
def test_a_call_that_is_refused(tenant: str, called: str, says: str, one: Site) -> None:
    """The answer says why; nobody is called, and there is no record."""
    if tenant != "nobody":
        one.tenant(tenant, None)
    answered = len(one.answerer.received("INVITE"))
    caller = one.call("hangs_up", tenant, called, "-d", "1000")
    caller.wait()
    assert caller.answer == says
    assert len(one.answerer.received("INVITE")) == answered
    assert one.kamailio.dialogs() == []


def test_an_emergency_call_without_money(one: Site) -> None:
    """It goes through, and is free."""
    tenant = one.tenant("emergency", None)
    caller = one.call("hangs_up", tenant, "911", "-d", "600")
    assert caller.wait() == 0
    rated = one.rated(caller)
    assert (rated.rule, rated.charge) == ("23 emergency", "0")


def test_a_call_lasts_as_long_as_it_was_granted(one: Site) -> None:
    """0.30 is 3 seconds at 0.10; whatever the hang-up takes, no more than 3 are billed."""
    tenant = one.tenant("granted", "0.30")
    caller = one.call("stays", tenant, LONDON)
    assert caller.wait() == 0
    rated, said = one.rated(caller), one.kamailio.written(caller.id)
    assert (rated.authorized_s, rated.charge) == (3, "0.3")
    assert said.duration_s <= 3 + CUT_WITHIN_S
    assert one.balance(tenant) == "0"
    until(lambda: ended(one, caller), "a BYE for the other side")


def test_a_running_call_is_known_by_its_heartbeats(one: Site) -> None:
    """The rater knows of it as long as it runs: after that it started two more events come, and then its end."""
    tenant = one.tenant("heartbeats", "5")
    caller = one.call("stays", tenant, LONDON)
    until(lambda: one.may(tenant, LONDON) == "credit_reserved", "the rater to know of the call")
    (dialog,) = until(one.kamailio.dialogs, "the call to run")
    before = one.events_taken()
    until(lambda: one.events_taken() >= before + 2, "heartbeats")
    assert [dialog["call-id"] for dialog in one.kamailio.dialogs()] == [caller.id]
    named = (caller.id, dialog["caller"]["tag"], dialog["callee"]["tag"])
    assert one.kamailio.rpc("dlg.terminate_dlg", *named)[0] == 200
    assert caller.wait() == 0
    assert one.rated(caller).usage_id == one.kamailio.written(caller.id).usage_id


def test_a_running_call_is_cut_when_another_uses_up_the_credit(one: Site) -> None:
    """A call of another switch costs 60, of 5.  The order reaches the phones at once; A22: of the running call no more
    than the authorised seconds are billed, at 0.10 each.
    """
    tenant = one.tenant("cut", "5")
    caller = one.call("stays", tenant, LONDON)
    caller.wait_until_answered()
    until(lambda: one.may(tenant, LONDON) == "credit_reserved", "the rater to know of the call")
    until(lambda: one.lasts_s(caller) >= 2, "a whole second of the call")
    before = datetime.now(UTC)
    assert one.office.send(costly(tenant, before)).body["accepted"] == 1
    assert caller.wait() == 0
    (order,) = one.orders(tenant)
    bye, *_ = caller.received("BYE")
    rated, said = one.rated(caller), one.kamailio.written(caller.id)
    assert bye.at - before.timestamp() < CUT_WITHIN_S
    assert order.reason is DisconnectReason.CREDITS_SUSPENDED
    assert (rated.authorized_s, said.authorized_s) == (order.authorized_s, str(order.authorized_s))
    billed = min(said.duration_s, order.authorized_s)
    assert billed >= 1
    assert rated.charge == f"{billed / 10:g}"
    assert one.balance(tenant) == f"{5 - 60 - billed / 10:g}"
    until(lambda: ended(one, caller), "a BYE for the other side")


def test_whoever_has_the_secret_ends_a_call(one: Site) -> None:
    """`dlg.terminate_dlg` with the Call-ID and the tags that the call's events have; the record says until when."""
    tenant = one.tenant("by-rpc", "5")
    caller = one.call("stays", tenant, LONDON)
    caller.wait_until_answered()
    (dialog,) = until(one.kamailio.dialogs, "the call to run")
    named = (dialog["call-id"], dialog["caller"]["tag"], dialog["callee"]["tag"])
    refused = [
        one.kamailio.rpc("dlg.terminate_dlg", *named, secret="another")[0],
        one.kamailio.rpc("core.kill", 1)[0],
    ]
    ended_by = one.kamailio.rpc("dlg.terminate_dlg", *named)[0]
    assert caller.wait() == 0
    again = one.kamailio.rpc("dlg.terminate_dlg", *named)
    rated, said = one.rated(caller), one.kamailio.written(caller.id)
    assert (refused, ended_by, again[0]) == ([401, 404], 200, 500)
    assert "callid" in again[1]
    assert rated.authorized_s == int(said.authorized_s)


def test_a_request_that_looks_like_one_of_a_running_call(one: Site) -> None:
    """A new call that pretends to be within one is not put through."""
    tenant = one.tenant("pretends", "5")
    answered = len(one.answerer.received("INVITE"))
    caller = one.call("pretends", tenant, PARIS, "-key", "next_hop", f"127.0.0.1:{one.answerer.port}")
    assert caller.wait() == 0
    assert caller.answer.startswith("481")
    assert len(one.answerer.received("INVITE")) == answered


def test_records_of_the_log_may_be_sent_again(one: Site) -> None:
    """As the page says, for a Kamailio that stopped while records waited: those that the rater has change nothing."""
    tenant = one.tenant("again", "5")
    caller = one.call("hangs_up", tenant, LONDON, "-d", "300")
    assert caller.wait() == 0
    one.rated(caller)
    before = one.balance(tenant)
    lines = "\n".join(line.partition("record ")[2] for line in one.kamailio.said("record {"))
    answer = one.serving.switch.ask("/v1/cdrs?map=kamailio", lines.encode(), type="application/x-ndjson").body
    assert (answer["accepted"], answer["refused"], answer["duplicate"]) == (0, 0, len(lines.splitlines()))
    assert one.balance(tenant) == before


def test_a_call_id_that_no_record_can_have(one: Site) -> None:
    """It is refused before anybody is asked: a call whose record cannot be read would be free."""
    tenant = one.tenant("long", "5")
    caller = one.call("hangs_up", tenant, LONDON, "-cid_str", "x" * 300 + "%u-%p@%s")
    caller.wait()
    assert caller.answer == "400 Call-ID Too Long"


def ended(one: Site, caller: Caller) -> bool:
    """Whether the phone that answered has its BYE."""
    return caller.id in [bye.call_id for bye in one.answerer.received("BYE")]


def test_a_rater_that_is_away(tmp_path: Path) -> None:
    """Calls run on and end while the rater is stopped: when their caller hangs up, or when the seconds that were granted
    are over, whatever the phones negotiate: 0.30 is 3 seconds at 0.10.  Others are refused, emergency calls are not.
    When the rater is there again, it gets every record once.
    """
    with site(tmp_path, QUICK) as one:
        tenant, poor = one.tenant("away", "5"), one.tenant("poor", "0.30")
        before = one.call("hangs_up", tenant, LONDON, "-d", "600")
        assert before.wait() == 0
        during = one.call("hangs_up", tenant, LONDON, "-d", "3000")
        granted = one.call("negotiates_again", poor, LONDON)
        for caller in (during, granted):
            caller.wait_until_answered()
        assert one.serving.stop() == 0
        refused = one.call("hangs_up", tenant, LONDON, "-d", "600")
        emergency = one.call("hangs_up", tenant, "911", "-d", "600")
        assert [caller.wait() for caller in (during, granted, emergency)] == [0, 0, 0]
        refused.wait()
        one.serving.start()
        one.serving.wait_until_ready()
        calls = {caller: one.rated(caller) for caller in (before, during, granted, emergency)}
        assert refused.answer == "503 Rating Unavailable"
        for caller, rated in calls.items():
            assert rated.duration_s == one.kamailio.written(caller.id).duration_s
        paid = sum(calls[caller].duration_s for caller in (before, during))
        assert one.balance(tenant) == f"{5 - paid / 10:g}"
        assert (calls[granted].authorized_s, one.balance(poor)) == (3, "0")
        assert calls[granted].duration_s <= 3 + CUT_WITHIN_S
        assert calls[emergency].charge == "0"
        assert one.dead_letters() == []


def test_a_site_that_puts_calls_through_unasked(tmp_path: Path) -> None:
    """With ALLOW_UNASKED a call begins while the rater is stopped; it is billed when the rater is there again."""
    with site(tmp_path, QUICK, "ALLOW_UNASKED") as one:
        tenant = one.tenant("unasked", "5")
        assert one.serving.stop() == 0
        caller = one.call("hangs_up", tenant, LONDON, "-d", "600")
        assert caller.wait() == 0
        one.serving.start()
        one.serving.wait_until_ready()
        rated = one.rated(caller)
        assert rated.duration_s == one.kamailio.written(caller.id).duration_s
        assert one.balance(tenant) == f"{5 - rated.duration_s / 10:g}"


REQUIRED = set(re.findall(r"^#!defenv (\w+)$", (SHIPPED / "kamailio.cfg").read_text(), re.MULTILINE))


def test_the_rater_calls_the_switch(tmp_path: Path) -> None:
    """Kamailio reads no orders: the rater calls its JSON-RPC, and the phones get their BYE at once."""
    with site(tmp_path, QUICK, "ORDERS_BY_RPC") as one:
        tenant = one.tenant("called", "5")
        caller = one.call("stays", tenant, LONDON)
        caller.wait_until_answered()
        until(lambda: one.may(tenant, LONDON) == "credit_reserved", "the rater to know of the call")
        before = datetime.now(UTC)
        assert one.office.send(costly(tenant, before)).body["accepted"] == 1
        assert caller.wait() == 0
        bye, *_ = caller.received("BYE")
        assert bye.at - before.timestamp() < CUT_WITHIN_S
        obeyed = 'rater_switch_orders_total{result="obeyed",switch="' + NAME + '"} 1.0'
        until(lambda: obeyed in one.serving.switch.ask("/metrics").body, "the count")
        assert one.rated(caller).call_id == caller.id


def test_the_page_names_what_a_site_sets() -> None:
    """Each is in the page's table, and in its example."""
    page = (SHIPPED / "README.md").read_text()
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE)) == REQUIRED
    assert set(re.findall(r"\b([A-Z]+_[A-Z]+)=", page)) == REQUIRED | {"NEXT_HOP"}


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_what_a_site_forgot_to_set_is_named(name: str) -> None:
    """Kamailio does not start, and says which is missing."""
    given = dict.fromkeys(REQUIRED - {name}, "udp:127.0.0.1:5060")
    checked = subprocess.run(
        ["kamailio", "-c", "-E", "-f", SHIPPED / "kamailio.cfg"],
        env={"PATH": os.environ["PATH"], **given},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode != 0
    assert f"env variable not defined [{name}]" in checked.stderr
