"""Reads the documents: every command that a page shows, with its page and line, and what the page shows below it."""

import re
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from tests.conftest import ROOT

PAGES = (
    "README.md",
    *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
    "topics/README.md",
    "deploy/README.md",
    "deploy/drills.md",
    *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "deploy" / "switches").glob("*/README.md")),
    *sorted(f"deploy/runbooks/{page.name}" for page in (ROOT / "deploy" / "runbooks").glob("*.md")),
)
#: What a command begins with, as a page shows it; another word follows.
_PROGRAMS = (
    r"rater|make|python|\.venv/bin/\w+|pip|git|docker|kubectl|kustomize|systemctl|apt(?:-get)?|faust|curl|openssl|kcat"
    r"|[\w-]+\.sh|deploy/picture\.sh|benchmarks/\w+\.py|yes|export|tail|top|cp|cd|mkdir|sed|sudo|tar|\."
)
_COMMAND = re.compile(rf"(?:[A-Z_]+=\S+ )*(?:{_PROGRAMS}) \S")
_SPAN = re.compile(r"`([^`]+)`")
_FENCE = re.compile(r"^( *)```(\w*)$")
_REMARK = re.compile(r"\s+#\s.*$")


class Shown(NamedTuple):
    """A command of a page, in one line and without its remark, and the lines that the page shows below it."""

    page: str
    line: int
    command: str
    output: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Page and line, as an editor opens them."""
        return f"{self.page}:{self.line}"


class Block(NamedTuple):
    """Lines that stand as they are, fenced or indented, with the number of the first one."""

    line: int
    language: str
    lines: tuple[str, ...]


def read(text: str) -> tuple[list[Block], dict[int, str]]:
    """The blocks of a page, and the other lines by their numbers."""
    rows = text.splitlines()
    found: list[Block] = []
    prose: dict[int, str] = {}
    at = 0
    while at < len(rows):
        fence = _FENCE.match(rows[at])
        end = at + 1
        if fence:
            while rows[end].strip() != "```":
                end += 1
            lines = tuple(row.removeprefix(fence[1]) for row in rows[at + 1 : end])
            found.append(Block(at + 2, fence[2], lines))
            end += 1
        elif rows[at].startswith("    ") and not (at and rows[at - 1].strip()):
            while end < len(rows) and (rows[end].startswith("    ") or not rows[end].strip()):
                end += 1
            lines = tuple(textwrap.dedent("\n".join(rows[at:end])).rstrip().splitlines())
            found.append(Block(at + 1, "", lines))
        else:
            prose[at + 1] = rows[at]
        at = end
    return found, prose


def _in_block(page: str, block: Block) -> Iterator[Shown]:
    """A line that ends with a backslash goes on in the next one; a line that is no command is output of the last one."""
    shown: Shown | None = None
    begun = ""
    for number, row in enumerate(block.lines, start=block.line):
        line = f"{begun}{row.strip()}" if begun else row
        begun = line[:-1].rstrip() + " " if line.endswith("\\") else ""
        if begun:
            continue
        if _COMMAND.match(line):
            if shown:
                yield shown
            shown = Shown(page, number, " ".join(_REMARK.sub("", line).split()))
        elif shown:
            shown = shown._replace(output=(*shown.output, line))
    if shown:
        yield shown


def _in_sentences(page: str, prose: dict[int, str], blocks: dict[int, Block]) -> Iterator[Shown]:
    """Between backquotes, also where it goes on in the next line; a block after a line that ends with it is its output."""
    whole = "\n".join(prose.get(number, "") for number in range(1, max(prose, default=0) + 1))
    for span in _SPAN.finditer(whole):
        command = " ".join(span[1].split())
        if not _COMMAND.match(command):
            continue
        line = whole.count("\n", 0, span.end()) + 1
        below = blocks.get(line + 2) if whole[span.end() :].startswith("\n") else None
        is_output = below is not None and not any(_COMMAND.match(row) for row in below.lines)
        begins = whole.count("\n", 0, span.start()) + 1
        yield Shown(page, begins, command, below.lines if below is not None and is_output else ())


def commands_of(page: str, text: str) -> list[Shown]:
    """Every command in the text of a page, in the order of its lines."""
    blocks, prose = read(text)
    shown = [one for block in blocks if block.language in ("", "sh") for one in _in_block(page, block)]
    shown += _in_sentences(page, prose, {block.line: block for block in blocks})
    return sorted(shown, key=lambda one: one.line)


def shown_on(page: str) -> list[Shown]:
    """Every command that a page of this repository shows."""
    return commands_of(page, (ROOT / page).read_text("utf-8"))


def block_of(page: str, holding: str) -> str:
    """The text of the one block of a page that holds this."""
    blocks, _ = read((ROOT / page).read_text("utf-8"))
    (found,) = [block for block in blocks if any(holding in line for line in block.lines)]
    return "\n".join(found.lines) + "\n"
