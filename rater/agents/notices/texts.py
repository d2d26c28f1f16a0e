"""Templates become texts: `NAME.txt` (its first line is the subject) and `NAME.html` for each notice.

A file of the same name in the user's folder replaces ours; `layout.html` is around every HTML text.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    TemplateError,
    select_autoescape,
)
from jinja2.sandbox import SandboxedEnvironment

from rater.agents.notices.channel import Message
from rater.agents.notices.facts import Notice, facts_of, notice_of
from rater.core import AccountEvent, EventKind, Source
from rater.ops.masking import mask_numbers
from rater.wire.errors import RaterError

DIGEST = "digest"
LAYOUT = "layout.html"
#: Lines of a digest; of what is more, only the number is shown.
DIGEST_LINES_MAX = 100
_SAMPLE_AT = datetime(2025, 3, 10, tzinfo=UTC)


class Letter(msgspec.Struct, frozen=True):
    """What an e-mail says."""

    subject: str
    text: str
    html: str


class Texts:
    """The templates, each tried once at the start, so that a mistake is found then and not at night."""

    def __init__(self, folder: Path | None = None) -> None:
        loaders: list[BaseLoader] = [PackageLoader("rater.agents.notices")]
        if folder is not None:
            _check_names(folder)
            loaders.insert(0, FileSystemLoader(folder))
        self._environment = SandboxedEnvironment(
            loader=ChoiceLoader(loaders),
            autoescape=select_autoescape(["html"], default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for notice in Notice:
            self._render(notice.template, _sample_facts(notice))
        self._render(DIGEST, _digest_facts("contoso", ["a", "b"]))

    def letter(self, message: Message) -> Letter:
        """The e-mail of a message; raises RaterError if a user's template fails on it."""
        if len(message.events) == 1:
            return self._of_event(message.events[0])
        lines = [self._of_event(event).subject for event in message.events]
        return self._render(DIGEST, _digest_facts(message.tenant, lines))

    def _of_event(self, event: AccountEvent) -> Letter:
        notice = notice_of(event)
        assert notice is not None, event.event
        return self._render(notice.template, facts_of(event))

    def _render(self, name: str, facts: dict[str, Any]) -> Letter:
        try:
            text = mask_numbers(self._environment.get_template(f"{name}.txt").render(facts))
            html = mask_numbers(self._environment.get_template(f"{name}.html").render(facts))
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as wrong:
            raise RaterError(f"template {name}: {wrong}") from wrong
        subject, _, body = text.partition("\n")
        subject = " ".join(subject.split())
        if not subject:
            raise RaterError(f"template {name}.txt: expected the subject in its first line, got an empty line")
        return Letter(subject, body.lstrip("\n"), html)


def _check_names(folder: Path) -> None:
    """A file that replaces nothing is a spelling mistake."""
    if not folder.is_dir():
        raise RaterError(f"{folder}: expected a folder with templates")
    names = {LAYOUT} | {f"{name}.{end}" for name in (*_names(), DIGEST) for end in ("txt", "html")}
    for path in sorted(folder.iterdir()):
        if path.suffix in (".txt", ".html") and path.name not in names:
            raise RaterError(f"{path}: expected one of {', '.join(sorted(names))}")


def _names() -> list[str]:
    return [notice.template for notice in Notice]


def _sample_facts(notice: Notice) -> dict[str, Any]:
    event = AccountEvent(
        tenant="contoso",
        id="contoso:event:1",
        sequence=1,
        source=Source("cdrs", 0, 0),
        event=EventKind.BALANCE_DEPLETED,
        at=_SAMPLE_AT,
        balance="49.86",
        amount="100",
        currency="USD",
        pool="MCOPSTN1/US-PR/2025-03",
        used=2400,
        total=3000,
        lot="funds-1",
        recharge_id="376b42902d5597f81d7284cb597dc3b2",
        reason="card_expired",
    )
    return {**facts_of(event), "event": notice.value}


def _digest_facts(tenant: str, lines: list[str]) -> dict[str, Any]:
    shown = lines[:DIGEST_LINES_MAX]
    return {
        "tenant": mask_numbers(tenant),
        "lines": shown,
        "count": len(lines),
        "left_out": len(lines) - len(shown),
    }
