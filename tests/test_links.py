"""Every link between the pages of this repository leads to a file, and to a heading of it."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *(page for top in ("docs", "deploy", "topics", "rater") for page in (ROOT / top).rglob("*.md")),
    ]
)
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def headings(page: Path) -> set[str]:
    """The anchors that a page has, as they are made from its headings: lower case, dashes for spaces."""
    titles = re.findall(r"^#+ (.+)$", _CODE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(page: Path) -> list[str]:
    """Links that lead nowhere; addresses of the web are not asked."""
    found = []
    for target in _LINK.findall(_CODE.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in headings(file)):
            found.append(target)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """A reader who follows one finds what it names."""
    assert broken(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    """A file that is not there, and a heading that is not there."""
    page = tmp_path / "page.md"
    page.write_text(
        "# One title\n[a](other.md) [b](#one-title) [c](#another) [d](https://example.org) `[e](f.md)`\n"
    )
    assert broken(page) == ["other.md", "#another"]
