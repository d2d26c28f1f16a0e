import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from structlog.testing import capture_logs

from rater.agents.notices.channel import Message
from rater.agents.notices.facts import Notice, facts_of, notice_of
from rater.agents.notices.notifier import Notifier
from rater.agents.notices.settings import NotifySettings
from rater.agents.notices.texts import DIGEST_LINES_MAX, Texts
from rater.core.reasons import EventKind
from rater.wire.errors import RaterError
from tests.notify.world import Clock, Mailbox, email_settings, event, mail_server, notify_settings

TEXTS = Texts()


def message(*events: Any) -> Message:
    return Message("email", "contoso", tuple(events))


def test_a_file_of_the_users_replaces_ours(tmp_path: Path) -> None:
    """Only that file: the HTML stays ours, unless its layout is replaced too."""
    (tmp_path / "recharge_failed.txt").write_text(
        "Zahlung von {{ amount }} {{ currency }}\n\nGrund: {{ reason }}\n"
    )
    (tmp_path / "layout.html").write_text("<p>{% block title %}{% endblock %}</p>{% block body %}{% endblock %}")
    letter = Texts(tmp_path).letter(message(event()))
    assert (letter.subject, letter.text) == ("Zahlung von 100 USD", "Grund: card_expired")
    assert letter.html.startswith("<p>contoso: recharge of 100 USD failed</p>")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("recharge_faild.txt", "x", "recharge_faild.txt: expected one of balance_alert.html"),
        ("recharge_failed.txt", "{{ amout }}", "template recharge_failed: 'amout' is undefined"),
        ("recharge_failed.txt", "{% if %}", "template recharge_failed: "),
        ("recharge_failed.txt", "\nx", "expected the subject in its first line"),
        ("recharge_failed.html", "{{ amount / 3 }}", "template recharge_failed: unsupported operand"),
        ("digest.html", "{{ ''.__class__.__mro__ }}", "template digest: access to attribute '__class__'"),
    ],
)
def test_a_template_that_cannot_be_is_found_at_the_start(tmp_path: Path, name: str, text: str, says: str) -> None:
    """And not at night, with the first event that needs it."""
    (tmp_path / name).write_text(text)
    with pytest.raises(RaterError, match=says):
        Texts(tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A message says that."""
    with pytest.raises(RaterError, match="expected a folder with templates"):
        Texts(tmp_path / "no")


def test_a_template_that_fails_on_one_event_holds_nothing_back(tmp_path: Path) -> None:
    """It works on the sample and not on an event without an amount; the other event is sent."""
    (tmp_path / "recharge_failed.txt").write_text("{{ amount.upper() }}\n")

    async def outcome() -> list[str]:
        async with mail_server(Mailbox()) as mailbox:
            settings = notify_settings(tmp_path, email=email_settings(mailbox.port), templates=tmp_path)
            async with Notifier(settings, Clock()) as notifier:
                await notifier.note(event(1, amount=None))
                await notifier.note(event(2))
                await notifier.deliver_due()
            return mailbox.subjects

    with capture_logs() as logs:
        assert asyncio.run(outcome()) == ["100"]
    assert [entry["event"] for entry in logs] == ["notice.refused", "notice.sent"]
    assert "template recharge_failed" in logs[0]["message"]


def test_a_digest_is_not_endless() -> None:
    """100 lines, then how many more."""
    letter = TEXTS.letter(message(*[event(number) for number in range(DIGEST_LINES_MAX + 7)]))
    assert letter.subject == "contoso: 107 more notices"
    assert letter.text.count("\n- ") == DIGEST_LINES_MAX
    assert "and 7 more" in letter.text
    assert "and 7 more" in letter.html


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True), st.sampled_from(list(EventKind)))
def test_no_number_survives_in_a_letter(number: str, kind: EventKind) -> None:
    """Whatever field of an event carries it."""
    happened = event(
        kind=kind,
        tenant=number,
        user=number,
        reason=f"to {number}",
        lot=number,
        pool=f"P/{number}",
        used=1,
        total=2,
    )
    if notice_of(happened) is not None:
        letter = TEXTS.letter(message(happened))
        assert number not in letter.subject + letter.text + letter.html


def test_facts_are_masked_before_a_template_sees_them() -> None:
    """So that no template of a user's can cut a number free of its plus."""
    facts = facts_of(event(user="+14255550100", used=118, total=120))
    assert (facts["user"], facts["percent"], facts["pool"]) == ("+14*******00", 98, None)


def test_every_notice_has_its_templates() -> None:
    """Also the one whose event comes later."""
    assert Notice.FUNDS_EXPIRING.template == "funds_expiring"
    folder = Path(__file__).parent.parent.parent / "rater" / "agents" / "notices" / "templates"
    names = {notice.template for notice in Notice} | {"digest"}
    assert {path.name for path in folder.iterdir()} == {f"{n}.{end}" for n in names for end in ("txt", "html")} | {
        "layout.html"
    }


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"email": email_settings(25, sender="nobody")}, "expected an address"),
        ({"email": email_settings(25, recipients={"*": ["a@b.example, c@d.example"]})}, "expected an address"),
        ({"email": email_settings(25, recipients={"*": ["jos\u00e9@b.example"]})}, "expected an address"),
        ({"email": email_settings(25, username="x")}, "username and password together"),
        ({"email": email_settings(25, username="x", password={"env": "P"})}, "starttls or tls"),
        ({"email": email_settings(70_000)}, "less than or equal to 65535"),
        ({"webhooks": [{"name": "A B", "url": "https://x", "secret": {"env": "S"}}]}, "pattern"),
        ({"webhooks": [{"name": "a", "url": "ftp://x", "secret": {"env": "S"}}]}, "pattern"),
        ({"webhooks": [{"name": "a", "url": "https://x", "secret": {"env": "S"}}] * 2}, "names that differ"),
        ({"emails": {}}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any], says: str) -> None:
    """Each says what was expected."""
    with pytest.raises(ValidationError, match=says):
        NotifySettings.model_validate({"outbox": "outbox.db", **wrong})


@pytest.mark.parametrize(("mode", "is_sent"), [("shadow", False), ("notify", True), ("stop", True)])
def test_a_brake_that_only_counts_notifies_nobody(mode: str, is_sent: bool) -> None:
    """A50: people are notified of a limit that was reached from `notify` on; the letter says what is stopped."""
    reached = event(kind=EventKind.BRAKE_REACHED, brake="stolen", user="ada", amount="99", reason=mode)
    assert (notice_of(reached) is Notice.BRAKE_REACHED) is is_sent
    letter = TEXTS.letter(message(reached)) if is_sent else None
    assert letter is None or letter.subject == "contoso: the limit of brake stolen is reached"
    assert letter is None or ("are refused" in letter.text) is (mode == "stop")
