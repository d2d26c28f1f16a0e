"""Every command that a page shows is understood, and is run by a test or stands in a table with the reason why not."""

import re
from collections import Counter

import pytest

from tests.commands import misunderstood
from tests.conftest import ROOT
from tests.docs import elsewhere, test_clerks_page, test_contributors_page, test_without_kafka
from tests.docs.pages import PAGES, Shown, commands_of, shown_on
from tests.docs.stories import Typed, missing, unproven
from tests.kafka import test_documents

STORIES: tuple[Typed, ...] = (
    *test_clerks_page.GOING_THERE,
    *test_clerks_page.FIRST_STEPS,
    *test_clerks_page.STORY,
    *test_clerks_page.BRAKES,
    *test_without_kafka.STORY,
    *test_contributors_page.STORY,
    *test_contributors_page.CHANGING,
    *test_documents.STORY,
)
EVERYTHING = [shown for page in PAGES for shown in shown_on(page)]
#: Files that a page asks its reader to write, and those of others.
OF_READERS = {
    "agents.yaml", "clients.yaml", "people.yaml", "sign-in.yaml", "site.yaml", "freeswitch.yaml", "users.csv", "customers.csv", "prices.csv",
    "switches.yaml", "freeradius.yaml", "nova.sample.csv", "nova.yaml", "nova.expected.csv", "publish_cdr.py", "book_debits.py", "kafka-acls.sh",
}  # fmt: skip
#: What a reader looks into; what programs leave beside them, such as `picture/`, is not of the repository.
FOLDERS = ("rater", "tests", "deploy", "docs", "topics", "schemas", "benchmarks", ".ci")
_FILE = re.compile(r"`([\w./*-]+?)(?:::\w+)?`")


def advice(shown: Shown) -> str:
    """What a writer of a page has to do."""
    return (
        f"{shown.place}: `{shown.command}` is run by no test: add it to a story in tests/docs or in"
        " tests/kafka/test_documents.py, or to a table of tests/docs/elsewhere.py with the reason"
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_run(page: str) -> None:
    """By a story, or by another test, or it is in the table of what cannot be run here."""
    assert [advice(shown) for shown in unproven(shown_on(page), STORIES, elsewhere.known)] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_understood(page: str) -> None:
    """`rater` has the command, each option and each argument, also within a pipe."""
    ours = [shown for shown in shown_on(page) if "rater " in shown.command]
    assert [f"{shown.place}: {wrong}" for shown in ours if (wrong := misunderstood(shown.command))] == []


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run_names_what_exists(page: str) -> None:
    """Services of the compose file, objects of the manifests, targets of make, parts of the picture."""
    shown = {one.command: one.place for one in shown_on(page)}
    assert [
        f"{place}: {command}: {wrong}" for command, place in shown.items() if (wrong := elsewhere.wrong_in(command))
    ] == []


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page: str) -> None:
    """A path of this repository, or the name of a file that is somewhere in it."""
    named = {found[1] for found in _FILE.finditer((ROOT / page).read_text("utf-8"))}
    paths = {name for name in named if "/" in name and name.split("/")[0] in FOLDERS}
    names = {
        name for name in named - paths if re.fullmatch(r"[\w-]+\.(py|md|ya?ml|sh|toml|csv|lock|properties)", name)
    }
    assert [path for path in paths if not list(ROOT.glob(path.rstrip("/")))] == []
    assert names - OF_READERS - files_of_the_repository() == set()


def files_of_the_repository() -> set[str]:
    """The names of all files of the folders that a reader looks into."""
    found = {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*.*")}
    return found | {path.name for path in ROOT.iterdir()}


def test_nothing_is_typed_for_a_page_that_shows_it_no_more() -> None:
    """What a table says that a page shows is on a page."""
    shown = {one.command for one in EVERYTHING}
    named = [line for step in STORIES for line in (step.shown, *step.also) if line] + [
        row.command for row in elsewhere.RUN_BY
    ]
    assert [line for line in named if line not in shown] == []
    used = {elsewhere.row_of(command) for command in shown}
    assert [row.begins for row in elsewhere.NOT_RUN if row not in used] == []


@pytest.mark.parametrize("row", elsewhere.RUN_BY, ids=lambda row: row.test.partition("::")[2])
def test_the_test_that_runs_it_instead_exists(row: elsewhere.RunBy) -> None:
    """It is there, and its file names the command."""
    file, _, name = row.test.partition("::")
    text = (ROOT / file).read_text("utf-8")
    assert f"def {name}(" in text
    words = row.command.split() if row.command.startswith("rater ") else row.command.split()[:1]
    assert [word for word in words[1:3] if word.lstrip("-") not in text and word.strip("-") not in text] == []


def test_every_line_that_is_not_run_has_a_reason() -> None:
    """And no two rows begin alike, so that each has one reason."""
    assert [row.begins for row in elsewhere.NOT_RUN if len(row.reason) < 10] == []
    assert [begins for begins, count in Counter(row.begins for row in elsewhere.NOT_RUN).items() if count > 1] == []


PAGE = """\
Type `rater run` or `rater show
pools contoso`, then

    rater publish --deck deck.csv \\
        cdrs.jsonl        # a remark
    3 records
    rater new-command

1. `rater verify`

       nothing was missing

```sh
kcat -Q
```

```python
rater is not a command here
```
"""


def test_a_page_is_read_as_a_reader_reads_it() -> None:
    """Between backquotes and over a line break; in blocks, going on after a backslash, with the output below."""
    assert commands_of("p.md", PAGE) == [
        Shown("p.md", 1, "rater run"),
        Shown("p.md", 1, "rater show pools contoso"),
        Shown("p.md", 5, "rater publish --deck deck.csv cdrs.jsonl", ("3 records",)),
        Shown("p.md", 7, "rater new-command"),
        Shown("p.md", 9, "rater verify", ("nothing was missing",)),
        Shown("p.md", 14, "kcat -Q"),
    ]


def test_a_new_command_without_a_test_is_found() -> None:
    """The check can fail, and says where and what to do."""
    (found,) = unproven(commands_of("p.md", "Type `rater run x.csv`."), [Typed("rater run y.csv")], elsewhere.known)
    assert advice(found).startswith("p.md:1: `rater run x.csv` is run by no test: add it to a story in tests/docs")


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("rater tenant configure contoso --recharge off", "nothing reads off"),
        ("rater run --decks deck.csv", "no option --decks"),
        ("rater consume debits | grep x | rater explian -", "no command explian"),
    ],
    ids=["a flag has no value", "a misspelt option", "after a pipe"],
)
def test_a_command_that_does_not_exist_is_found(line: str, wrong: str) -> None:
    """The check can fail."""
    assert misunderstood(line) == f"{line}: {wrong}"


@pytest.mark.parametrize(
    "command",
    [
        "docker compose -f deploy/compose.yaml restart workers",
        "docker compose -f deploy/compose.yaml up --biuld",
        "kubectl delete pod rater-wroker-0",
        "kubectl apply -k deploy/kubernetes/overlays/keta",
        "make pictures",
        "deploy/picture.sh stop wroker",
        "deploy/picture.sh halt worker",
        "pip install '.[exel]'",
        "benchmarks/core.py --call 5",
        "python -m benchmarks.mapping",
        ".venv/bin/python -m pytest tests/kafkas",
        "tail -n 50 picture/wroker.log",
        "kafka-get-offset.sh --topic cdrs",
        "docker build --build-arg BASE_IMAGE=x -f deploy/Dockerfile .",
    ],
)
def test_a_wrong_name_in_what_is_not_run_is_found(command: str) -> None:
    """The check can fail."""
    assert elsewhere.wrong_in(command)


def test_output_that_a_page_shows_is_compared() -> None:
    """Other figures are alike, other words are not; what `...` stands for is left open."""
    shown = ["4 records of prefix 'a-'", "...", "open: {...}"]
    assert missing(shown, "1,204 records of prefix ''\nmore\nopen: {1}") == []
    assert missing(shown, "1,204 letters of prefix ''\nopen: {1}") == [shown[0]]
