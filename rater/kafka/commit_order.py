"""Commits follow each other without gap or overlap; does no I/O."""

from collections.abc import Iterator

from rater.wire.commits import Commit


def out_of_line(before: Commit, commit: Commit) -> Iterator[str]:
    """What is wrong with a commit that comes after another; what an operator gave up is right."""
    if commit.sequence != before.sequence + 1:
        yield f"expected commit {before.sequence + 1}"
    gaps = {gap.topic: gap for gap in commit.gaps}
    for topic, first, next in (
        ("cdrs", commit.cdrs_first, before.cdrs_next),
        ("commands", commit.commands_first, before.commands_next),
    ):
        gap = gaps.get(topic)
        expected = gap.goes_on_at if gap is not None and gap.next_was == next else next
        if first != expected:
            yield f"expected to begin at offset {expected} of {topic}, begins at {first}"
