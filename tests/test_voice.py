"""Voice as a test: the phrases of voice.txt occur nowhere in what operators, clerks and engineers read."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

LIST = Path(__file__).with_name("voice.txt")
SUFFIXES = {".py", ".md", ".yaml", ".yml", ".toml", ".json", ".txt", ".html", ".sh"}
PLACES = (
    "README.md",
    "Makefile",
    "pyproject.toml",
    "docs",
    "deploy",
    "topics",
    "schemas",
    "rater",
    "tests",
    "benchmarks",
)
#: The list and its test; what other programs, another release and the fuzzer wrote.
NOT_READ = ("tests/voice.txt", "tests/test_voice.py", "tests/fixtures/", "tests/fuzz/corpus/")
#: Names that users' files hold; they stay as they are.
FIXED = re.compile(
    r"telling_instance|tell_within_hours"  # settings of `rater agents`
    r"|tag=\"told\"|b'\"told\"'|name=\"heard_at\"",  # in the sandbox gateway's file, and in a store
    re.IGNORECASE,
)
#: Between two words: a blank, the "_" of a name, or a line break with the comment sign of the next line.
GAP = r"(?:[ _]|\s*\n\s*(?:#:?\s*)?)+"
WORD = re.compile(r"[a-z]+")
#: What a phrase begins with: a word, or words in brackets.
BEGINNING = re.compile(r"(?:[a-z]+|\([a-z|]+\))(?=[ ,('\\]|$)")


def phrases() -> Iterator[tuple[str, str]]:
    """(phrase, plain form) of the list, in its order."""
    for line in LIST.read_text().splitlines():
        if line and not line.startswith("#"):
            phrase, _, plain = line.partition("\t")
            yield phrase, plain


def by_first_word() -> dict[str, list[tuple[re.Pattern[str], str]]]:
    """The phrases that begin with a word, each with its plain form; "_" ends a word."""
    found: dict[str, list[tuple[re.Pattern[str], str]]] = {}
    for phrase, plain in phrases():
        pattern = re.compile(phrase.replace(" ", GAP) + "(?![a-z])")
        beginning = BEGINNING.match(phrase)
        assert beginning is not None, phrase
        for word in WORD.findall(beginning.group()):
            found.setdefault(word, []).append((pattern, plain))
    return found


LISTED = by_first_word()


def listed(name: str, text: str) -> list[str]:
    """Every phrase of the list in a text: where, what, and the plain form."""
    text = FIXED.sub("", text).lower()
    return [
        f"{name}:{text.count(chr(10), 0, word.start()) + 1}: {found.group()!r}: write {plain}"
        for word in WORD.finditer(text)
        for pattern, plain in LISTED.get(word.group(), ())
        if (found := pattern.match(text, word.start()))
    ]


def files(place: str) -> Iterator[Path]:
    """Every text of one of the places."""
    whole = ROOT / place
    for path in sorted(whole.rglob("*")) if whole.is_dir() else [whole]:
        inside = path.relative_to(ROOT).as_posix()
        if path.is_file() and (path == whole or path.suffix in SUFFIXES) and not inside.startswith(NOT_READ):
            yield path


@pytest.mark.parametrize("place", PLACES)
def test_plain_words(place: str) -> None:
    """Short, literal sentences in the field's words, in every text and every name."""
    assert [
        one for path in files(place) for one in listed(str(path.relative_to(ROOT)), path.read_text("utf-8"))
    ] == []


@pytest.mark.parametrize(
    "text",
    [
        '"""What a call came to, before it is debited."""',
        "step.tell(event)",
        "self.told_by = None",
        "# An order for calls that nothing\n# carries any more.",
        "a partition stands still",
        "Records were taken.",
        "Let go of the file",
        "Refuses to know about tenants",
        "nothing changed: this id was taken before",
        "rater.take(file)",
        "As Issue 5, point 6 has it",
        "Issue, bad input: one reason each",
    ],
)
def test_a_phrase_of_the_list_is_found(text: str) -> None:
    """The check can fail: in a sentence, in a name, and over a line break."""
    assert listed("x.py", text)


@pytest.mark.parametrize(
    "text", ["file.tell()", "Heard Island", "It took 5 seconds.", "Money is taken from the oldest lot.", "foretold"]
)
def test_plain_words_pass(text: str) -> None:
    """Names of others, and words in their plain sense, are no phrase of the list."""
    assert listed("x.py", text) == []


def test_every_phrase_has_its_plain_form() -> None:
    """One line each: phrase, tab, plain form."""
    assert [phrase for phrase, plain in phrases() if not plain.strip()] == []
