import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from rater.agents.notices.facts import Notice, message_key
from rater.agents.notices.notifier import Notifier
from rater.agents.notices.outbox import State
from rater.core.outputs import AccountEvent
from rater.core.reasons import EventKind
from rater.wire.errors import Exit, RaterError
from tests.notify.world import (
    PASSWORD,
    USER,
    Clock,
    Mailbox,
    certificate,
    email_settings,
    event,
    mail_server,
    notify_settings,
)


def mailed(folder: Path, *events: AccountEvent, clock: Clock | None = None, **changes: Any) -> Mailbox:
    """What a server accepted after these events were noted and what was due was sent."""

    async def outcome() -> Mailbox:
        async with mail_server(Mailbox()) as mailbox:
            email = email_settings(mailbox.port, **changes.pop("email", {}))
            async with Notifier(notify_settings(folder, email=email, **changes), clock or Clock()) as notifier:
                for happened in events:
                    await notifier.note(happened)
                await notifier.deliver_due()
            return mailbox

    return asyncio.run(outcome())


@pytest.mark.parametrize(
    ("kind", "facts", "subject", "says"),
    [
        (
            EventKind.RECHARGE_SUCCEEDED,
            {"reason": None},
            "contoso: recharged with 100 USD",
            "The balance is 49.86 USD.",
        ),
        (EventKind.RECHARGE_FAILED, {}, "contoso: recharge of 100 USD failed", "because the card has expired"),
        (
            EventKind.RECHARGE_FAILED,
            {"reason": "issuer_unavailable"},
            "contoso: recharge of 100 USD failed",
            "because issuer unavailable",
        ),
        (
            EventKind.RECHARGE_SUPPRESSED,
            {"reason": "recharges_per_hour_max"},
            "contoso: recharge held back",
            "because the limit of recharges in one hour was reached",
        ),
        (EventKind.BALANCE_DEPLETED, {"balance": "-10.12"}, "contoso: no credit left", "is -10.12 USD"),
        (
            EventKind.POOL_WARNING,
            {"pool": "MCOPSTN5/US-PR/2025-03", "used": 118, "total": 120},
            "contoso: 98 % of MCOPSTN5/US-PR/2025-03 used",
            "118 of 120 minutes",
        ),
        (
            EventKind.POOL_EXHAUSTED,
            {"pool": "MCOPSTN5/US-PR/2025-03", "used": 120, "total": 120},
            "contoso: MCOPSTN5/US-PR/2025-03 is used up",
            "All 120 minutes",
        ),
        (EventKind.FUNDS_EXPIRED, {"lot": "funds-1"}, "contoso: 100 USD expired", "of the purchase funds-1"),
    ],
)
def test_the_notice_of_an_event(
    tmp_path: Path, kind: EventKind, facts: dict[str, Any], subject: str, says: str
) -> None:
    """One e-mail, as text and as HTML, to the tenant's people."""
    mailbox = mailed(tmp_path, event(kind=kind, **facts))
    assert (mailbox.subjects, mailbox.recipients) == ([subject], [["billing@contoso.example"]])
    message = mailbox.messages[0]
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert says in text.get_content()
    assert says in html.get_content()
    assert "contoso:event:1" in text.get_content()
    assert message["Message-ID"] == f"<{message_key(('contoso:event:1',))}@carrier.example>"
    assert message["Auto-Submitted"] == "auto-generated"


def test_events_without_a_notice(tmp_path: Path) -> None:
    """Every kind of event: those that are notices and no others."""
    events = [event(number, kind, pool="P", used=1, total=1, lot="l") for number, kind in enumerate(EventKind)]
    mailbox = mailed(tmp_path, *events, email={"messages_per_hour_max": 100})
    subjects = {notice.value for notice in Notice} & {kind.value for kind in EventKind}
    assert len(mailbox.messages) == len(subjects)


def test_an_event_that_is_delivered_twice_is_sent_once(tmp_path: Path) -> None:
    """Twice in one run, and again by a process that starts later with the same outbox."""
    assert len(mailed(tmp_path, event(), event()).messages) == 1
    assert len(mailed(tmp_path, event()).messages) == 0
    assert mailed(tmp_path, event(), event(2)).ids == [f"<{message_key(('contoso:event:2',))}@carrier.example>"]


def test_who_is_notified(tmp_path: Path) -> None:
    """The tenant's own people, everybody else's, or nobody."""
    recipients = {"contoso": ["a@contoso.example", "b@contoso.example"], "fabrikam": [], "*": ["c@carrier.example"]}
    events = [event(), event(tenant="fabrikam"), event(tenant="tailspin")]
    mailbox = mailed(tmp_path, *events, email={"recipients": recipients})
    assert mailbox.recipients == [["a@contoso.example", "b@contoso.example"], ["c@carrier.example"]]


def test_starttls_and_login(tmp_path: Path) -> None:
    """A server that insists on both, with a certificate that the settings trust; several messages, one session."""
    tls = certificate(tmp_path)
    (tmp_path / "password").write_text(PASSWORD + "\n")
    secured = {
        "security": "starttls",
        "ca_file": tls[0],
        "username": USER,
        "password": {"file": tmp_path / "password"},
    }

    async def outcome() -> Mailbox:
        async with mail_server(Mailbox(), tls) as mailbox:
            settings = notify_settings(tmp_path, email=email_settings(mailbox.port, **secured))
            async with Notifier(settings, Clock()) as notifier:
                await notifier.note(event(1))
                await notifier.note(event(2))
                await notifier.deliver_due()
            return mailbox

    mailbox = asyncio.run(outcome())
    assert (len(mailbox.messages), len(mailbox.sessions)) == (2, 1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"password": {"env": "WRONG_PASSWORD"}}, "SMTPAuthenticationError: "),
        ({"ca_file": None}, "certificate verify failed"),
        ({"host": "localhost"}, "certificate verify failed"),
        ({"password": {"file": "gone"}}, "gone cannot be read"),
    ],
)
def test_a_server_that_does_not_let_us_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], says: str
) -> None:
    """One clear line; nothing was sent, nothing is lost."""
    tls = certificate(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WRONG_PASSWORD", "wrong")
    (tmp_path / "gone").write_text("there at the start")
    secured = {"security": "starttls", "ca_file": tls[0], "username": USER, "password": {"env": "WRONG_PASSWORD"}}

    async def outcome() -> tuple[Mailbox, dict[str, Any]]:
        async with mail_server(Mailbox(), tls) as mailbox:
            settings = notify_settings(tmp_path, email=email_settings(mailbox.port, **{**secured, **changes}))
            async with Notifier(settings, Clock()) as notifier:
                (tmp_path / "gone").unlink()
                await notifier.note(event())
                await notifier.deliver_due()
                return mailbox, await notifier.counts()

    with capture_logs() as logs:
        mailbox, counts = asyncio.run(outcome())
    assert (mailbox.messages, counts) == ([], {"email": {State.QUEUED: 1}})
    assert [entry["event"] for entry in logs] == ["channel.unreachable"]
    assert says in logs[0]["message"]


def test_a_server_without_starttls_gets_no_message(tmp_path: Path) -> None:
    """Where STARTTLS is asked for, nothing is sent in the clear."""
    with capture_logs() as logs:
        mailbox = mailed(tmp_path, event(), email={"security": "starttls"})
    assert mailbox.messages == []
    assert [entry["event"] for entry in logs] == ["channel.unreachable"]


def test_a_server_that_is_down_for_an_hour(tmp_path: Path) -> None:
    """Three events while the receiver is down, tried again with growing waits; once it is back each is sent once."""

    async def outcome() -> tuple[Mailbox, list[int]]:
        clock, waits = Clock(), []
        async with mail_server(Mailbox()) as mailbox:
            pass
        settings = notify_settings(tmp_path, email=email_settings(mailbox.port))
        async with Notifier(settings, clock) as notifier:
            for number in range(60):
                if number < 3:
                    await notifier.note(event(number))
                with capture_logs() as logs:
                    await notifier.deliver_due()
                waits += [entry["again_in_s"] for entry in logs]
                clock.pass_(minutes=1)
            async with mail_server(mailbox, port=mailbox.port):
                clock.pass_(minutes=15)
                await notifier.deliver_due()
                await notifier.deliver_due()
            assert await notifier.counts() == {"email": {State.SENT: 3}}
        return mailbox, waits

    mailbox, waits = asyncio.run(outcome())
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]
    assert len(mailbox.messages) == len(set(mailbox.ids)) == 3


def test_a_message_that_is_refused_holds_nothing_back(tmp_path: Path) -> None:
    """Refused for three days, then given up and kept; the messages after it pass."""

    async def outcome() -> tuple[Mailbox, list[str], dict[str, Any]]:
        clock = Clock()
        async with mail_server(Mailbox()) as mailbox:
            mailbox.refuse = lambda message: "550 no such user" if "no credit" in message["Subject"] else None
            settings = notify_settings(tmp_path, email=email_settings(mailbox.port))
            async with Notifier(settings, clock) as notifier:
                with capture_logs() as logs:
                    await notifier.note(event(1, EventKind.BALANCE_DEPLETED))
                    await notifier.note(event(2))
                    for _ in range(76):
                        await notifier.deliver_due()
                        clock.pass_(hours=1)
                return mailbox, [entry["event"] for entry in logs], await notifier.counts()

    mailbox, said, counts = asyncio.run(outcome())
    assert mailbox.subjects == ["contoso: recharge of 100 USD failed"]
    assert said == ["notice.refused", "notice.sent"] + ["notice.refused"] * 72 + ["notice.abandoned"]
    assert counts == {"email": {State.SENT: 1, State.ABANDONED: 1}}


def test_a_greylisting_server_is_tried_again(tmp_path: Path) -> None:
    """451 once, then accepted."""

    async def outcome() -> Mailbox:
        clock = Clock()
        async with mail_server(Mailbox()) as mailbox:
            answers = ["451 come back later"]
            mailbox.refuse = lambda _: answers.pop() if answers else None
            async with Notifier(notify_settings(tmp_path, email=email_settings(mailbox.port)), clock) as notifier:
                await notifier.note(event())
                await notifier.deliver_due()
                await notifier.deliver_due()
                assert mailbox.messages == []
                clock.pass_(seconds=30)
                await notifier.deliver_due()
            return mailbox

    assert len(asyncio.run(outcome()).messages) == 1


def test_more_than_three_an_hour_become_one_digest(tmp_path: Path) -> None:
    """Eight events: 3 messages, at the end of the hour one digest of 5; another tenant is not held back."""

    single, other = "contoso: recharge of 100 USD failed", "fabrikam: recharge of 100 USD failed"

    async def outcome() -> list[list[str]]:
        clock, received = Clock(), []
        async with mail_server(Mailbox()) as mailbox:
            settings = notify_settings(tmp_path, email=email_settings(mailbox.port, messages_per_hour_max=3))
            async with Notifier(settings, clock) as notifier:
                for number in range(8):
                    await notifier.note(event(number))
                    await notifier.note(event(number))
                    clock.pass_(minutes=1)
                await notifier.note(event(1, tenant="fabrikam"))
                for minutes in (0, 51, 1, 60):
                    clock.pass_(minutes=minutes)
                    before = len(mailbox.messages)
                    await notifier.deliver_due()
                    received.append(mailbox.subjects[before:])
        digest = mailbox.messages[-1].get_body(("plain",))
        assert digest is not None
        assert digest.get_content().count(f"- {single}") == 5
        five = tuple(f"contoso:event:{number}" for number in range(3, 8))
        assert mailbox.ids[-1] == f"<{message_key(five)}@carrier.example>"
        return received

    # 10:08, 10:59, 11:00, 12:00
    assert asyncio.run(outcome()) == [[single] * 3 + [other], [], ["contoso: 5 more notices"], []]


SENDER = """
import asyncio, sys
from pathlib import Path
from rater.agents.notices.notifier import Notifier
from tests.notify.world import Clock, email_settings, event, notify_settings

async def main():
    settings = notify_settings(Path(sys.argv[1]), email=email_settings(int(sys.argv[2]), messages_per_hour_max=1000))
    async with Notifier(settings, Clock()) as notifier:
        for number in range(20):
            await notifier.note(event(number))
        print("noted", flush=True)
        await notifier.deliver_due()

asyncio.run(main())
"""


def test_killed_while_it_sends(tmp_path: Path) -> None:
    """kill -9 after the server accepted a message and before we read its answer, three times; then to the end.

    Every event is sent; the copies that the kills cause, one each, bear the Message-ID of the first.
    """

    async def outcome() -> Mailbox:
        async with mail_server(Mailbox()) as mailbox:
            for kill_at in (3, 7, 12, None):
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", SENDER, str(tmp_path), str(mailbox.port), stdout=subprocess.DEVNULL
                )
                pid, limit = process.pid, kill_at

                def kill(_: object, pid: int = pid, limit: int | None = limit) -> None:
                    if limit is not None and len(mailbox.messages) + 1 == limit:
                        os.kill(pid, signal.SIGKILL)

                mailbox.refuse = kill
                code = await process.wait()
                assert code == (0 if kill_at is None else -signal.SIGKILL)
        return mailbox

    mailbox = asyncio.run(outcome())
    assert set(mailbox.ids) == {f"<{message_key((f'contoso:event:{n}',))}@carrier.example>" for n in range(20)}
    assert len(mailbox.ids) == 20 + 3


def test_run_notifies_people(tmp_path: Path) -> None:
    """The loop sends what is noted while it waits, and ends when it is cancelled."""

    async def outcome() -> list[str]:
        async with mail_server(Mailbox()) as mailbox:
            settings = notify_settings(tmp_path, email=email_settings(mailbox.port))
            async with Notifier(settings) as notifier:
                running = asyncio.create_task(notifier.run())
                for number in range(3):
                    await notifier.note(event(number))
                    while len(mailbox.messages) <= number:
                        await asyncio.sleep(0)
                while (await notifier.counts())["email"] != {State.SENT: 3}:
                    await asyncio.sleep(0)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            return mailbox.subjects

    assert len(asyncio.run(asyncio.wait_for(outcome(), 60))) == 3


def test_run_comes_back_to_what_was_refused(tmp_path: Path) -> None:
    """By itself, once it is due again."""

    async def outcome() -> int:
        async with mail_server(Mailbox()) as mailbox:
            answers = ["451 come back later"]
            mailbox.refuse = lambda _: answers.pop() if answers else None
            email = email_settings(mailbox.port)
            async with Notifier(notify_settings(tmp_path, email=email, retry_wait_initial_s=1)) as notifier:
                running = asyncio.create_task(notifier.run())
                await notifier.note(event())
                while not mailbox.messages:
                    await asyncio.sleep(0.01)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            return len(mailbox.messages)

    assert asyncio.run(asyncio.wait_for(outcome(), 30)) == 1


def test_numbers_are_masked_in_notices(tmp_path: Path) -> None:
    """In subject, text and HTML, wherever an event carries one."""
    mailbox = mailed(tmp_path, event(tenant="+14255550100", reason="no route to +442079460000"))
    raw = mailbox.messages[0].as_string()
    assert "4255550100" not in raw
    assert "2079460000" not in raw
    assert mailbox.subjects == ["+14*******00: recharge of 100 USD failed"]


def test_a_tenant_cannot_write_headers(tmp_path: Path) -> None:
    """Line breaks in a name become spaces, markup is shown and not obeyed."""
    mailbox = mailed(tmp_path, event(tenant="x\r\nBcc: all@x.example\n<b>y</b>"))
    assert mailbox.subjects == ["x"]
    assert mailbox.messages[0]["Bcc"] is None
    html = mailbox.messages[0].get_body(("html",))
    assert html is not None
    assert "<b>" not in html.get_content()


def test_one_process_has_an_outbox(tmp_path: Path) -> None:
    """A second one is refused; what is no outbox, or a newer one, too."""

    async def second() -> None:
        settings = notify_settings(tmp_path)
        async with Notifier(settings), Notifier(settings):
            pass

    with pytest.raises(RaterError, match="in use by another process") as raised:
        asyncio.run(second())
    assert raised.value.exit is Exit.STORE_IN_USE
    (tmp_path / "text.db").write_text("this is no database, whatever its name says" * 100)
    with pytest.raises(RaterError, match="cannot be opened as an outbox"):
        asyncio.run(_open(notify_settings(tmp_path, outbox=tmp_path / "text.db")))
    with pytest.raises(RaterError, match="cannot be opened as an outbox"):
        asyncio.run(_open(notify_settings(tmp_path, outbox=tmp_path / "no" / "folder.db")))


async def _open(settings: Any) -> None:
    async with Notifier(settings):
        pass
