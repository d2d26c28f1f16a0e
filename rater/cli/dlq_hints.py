"""What `rater dlq` says below a list and after a replay, and what can be done about a letter."""

import sys
from collections import Counter

import typer

from rater.cli.printing import counted
from rater.core import Reason, RejectedCdr
from rater.wire.dead_letters import DlqAudit, Letter, why_not_replayed
from rater.wire.errors import Exit
from rater.wire.visible import visible

IDS_SHOWN_MAX = 5


def say_how_many(found: list[Letter], shown: int) -> None:
    """How many letters there are of each reason, the most frequent first, and how many of them were listed."""
    of_each = Counter(letter.letter.reason.value for letter in found)
    reasons = ", ".join(f"{count} {reason}" for reason, count in of_each.most_common())
    only = f"; the oldest {shown} are listed" if shown < len(found) else ""
    count = f"{counted(len(found), 'dead letter')}{reasons and f' ({reasons})'}{only}"
    print(f"{count}; rater dlq show ID shows one" if found else "no dead letters", file=sys.stderr)


def say_not_tried(letters: list[Letter], audits: list[DlqAudit]) -> None:
    """List why letters were not tried."""
    tried = {audit.id for audit in audits}
    for letter in letters:
        if letter.letter.id not in tried:
            print(visible(why_not_replayed(letter.letter)), file=sys.stderr)


def say_accepted(letters: list[Letter], audits: list[DlqAudit]) -> None:
    """How many were accepted, and what to do about the others; exit 3 if some were refused again."""
    accepted = sum(audit.accepted is True for audit in audits)
    unknown = sum(audit.accepted is None for audit in audits)
    again = {audit.id for audit in audits if audit.accepted is False}
    _say_refused_again([letter.letter for letter in letters if letter.letter.id in again])
    later = f", {unknown} published and not applied yet: is a worker running?" if unknown else ""
    print(f"{accepted} of {len(letters)} records accepted{later}", file=sys.stderr)
    if accepted + unknown < len(letters):
        raise typer.Exit(Exit.REFUSED)


def _say_refused_again(letters: list[RejectedCdr]) -> None:
    """Each of the first, with what to do about it."""
    for letter in letters[:IDS_SHOWN_MAX]:
        said = f"{letter.id[:12]}: refused again, {letter.reason.value}; {what_to_do(letter)}"
        print(said, file=sys.stderr)
    if (left := len(letters) - IDS_SHOWN_MAX) > 0:
        print(f"{left} more were refused again: rater dlq ls", file=sys.stderr)


def what_to_do(letter: RejectedCdr) -> str:
    """How a letter is settled; a replay gives the same bytes again, so a wrong record is corrected in its file."""
    id = letter.id[:12]
    drop = f'rater dlq drop {id} --note "why"'
    if letter.reason is Reason.IMPLAUSIBLE_DURATION:
        return f"if it really lasted so long: rater dlq replay {id} --accept; else: {drop}"
    if letter.reason is Reason.CONFLICTING_DUPLICATE:
        return (
            "if this record is right, send it with its version + 1; if it is another call, send it with a usage id"
            f" of its own; then, or if the record that was rated is right: {drop}"
        )
    return (
        f"if a setting, licence or tenant was missing, add it: rater dlq replay {id};"
        f" if the record is wrong, correct it in its file, run that, then: {drop}"
    )
