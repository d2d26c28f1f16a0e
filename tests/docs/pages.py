"""The commands that the documents show, with the page and the line, and what the page shows below them."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.conftest import ROOT

PAGES = (
    "README.md",
    *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
    "topics/README.md",
    "deploy/README.md",
    "deploy/drills.md",
    *sorted(f"deploy/runbooks/{page.name}" for page in (ROOT / "deploy" / "runbooks").glob("*.md")),
)
#: What a command begins with, as a page shows it: one of these and another word.
PROGRAMS = (
    r"rater|make|python|\.venv/bin/\w+|pip|git|docker|kubectl|kustomize|systemctl|apt(?:-get)?|faust|curl|openssl|kcat"
    r"|[\w-]+\.sh|deploy/picture\.sh|benchmarks/\w+\.py|yes|export|tail|top|cp|cd|mkdir|sudo|tar|\."
)
_COMMAND = re.compile(rf"(?:[A-Z_]+=\S+ )*(?:{PROGRAMS}) \S")
_SPAN = re.compile(r"`([^`]+)`")
_FENCE = re.compile(r"^( *)```(\w*)$")
_REMARK = re.compile(r"\s+#\s.*$")


class Shown(NamedTuple):
    """A command of a page: where it is, in one line and without remark, and the lines that the page shows below it."""

    page: str
    line: int
    command: str
    output: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Page and line, as an editor opens them."""
        return f"{self.page}:{self.line}"


class Block(NamedTuple):
    """Lines of a page that stand as they are: fenced or indented, with the number of the first one."""

    line: int
    language: str
    lines: tuple[str, ...]


def blocks(text: str) -> tuple[list[Block], list[tuple[int, str]]]:
    """The blocks of a page, and the lines between them with their numbers."""
    found: list[Block] = []
    prose: list[tuple[int, str]] = []
    rows = list(enumerate(text.splitlines(), start=1))
    at = 0
    while at < len(rows):
        number, row = rows[at]
        end = at + 1
        if fence := _FENCE.match(row):
            while rows[end][1].strip() != "```":
                end += 1
            inner = [line.removeprefix(fence[1]) for _, line in rows[at + 1 : end]]
            found.append(Block(number + 1, fence[2], tuple(inner)))
            end += 1
        elif row.startswith("    ") and (at == 0 or not rows[at - 1][1].strip()):
            while end < len(rows) and (rows[end][1].startswith("    ") or not rows[end][1].strip()):
                end += 1
            inner = textwrap.dedent("\n".join(line for _, line in rows[at:end])).rstrip().splitlines()
            found.append(Block(number, "", tuple(inner)))
        else:
            prose.append((number, row))
        at = end
    return found, prose


def in_blocks(page: str, text: str) -> Iterator[Shown]:
    """Commands of blocks; a line that ends with a backslash goes on, and what is no command is output of the last one."""
    for block in blocks(text)[0]:
        if block.language not in ("", "sh"):
            continue
        shown: Shown | None = None
        going_on = ""
        for number, row in enumerate(block.lines, start=block.line):
            line = going_on + row.strip() if going_on else row
            if line.endswith("\\"):
                going_on = line[:-1].rstrip() + " "
                continue
            going_on = ""
            if _COMMAND.match(line):
                if shown:
                    yield shown
                shown = Shown(page, number, " ".join(_REMARK.sub("", line).split()))
            elif shown:
                shown = shown._replace(output=(*shown.output, line))
        if shown:
            yield shown


def in_sentences(page: str, text: str) -> Iterator[Shown]:
    """Commands between backquotes, also where they go on in the next line."""
    prose = dict(blocks(text)[1])
    lines = [prose.get(number, "") for number in range(1, len(text.splitlines()) + 1)]
    whole = "\n".join(lines)
    for span in _SPAN.finditer(whole):
        command = " ".join(span[1].split())
        if _COMMAND.match(command):
            yield Shown(page, whole.count("\n", 0, span.start()) + 1, command)


def shown_on(page: str) -> list[Shown]:
    """Every command that a page shows, in the order of its lines."""
    text = (ROOT / page).read_text("utf-8")
    return sorted([*in_blocks(page, text), *in_sentences(page, text)], key=lambda shown: shown.line)


def everything() -> list[Shown]:
    """Every command that the documents show."""
    return [shown for page in PAGES for shown in shown_on(page)]
