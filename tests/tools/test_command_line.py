"""The command line as a whole: examples, JSON, completion, exit codes."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from rater.wire.errors import Exit
from tests.commands import Command, command_line, misunderstood
from tests.conftest import ROOT

#: Commands that show something; `consume` prints JSON Lines in any case, `export` has --format.
READING = (
    "acls", "check", "config check", "dev kafka status", "dlq ls", "dlq show", "doctor", "explain", "metrics list",
    "rates lint", "show balance", "show brakes", "show calls", "show pools", "show tenant", "top", "topics diff", "topics list", "verify",
)  # fmt: skip


def commands(found: Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Command]]:
    """Every command with the words that call it."""
    inner = getattr(found, "commands", None)
    if inner is None:
        yield " ".join(path), found
    else:
        for name, command in inner.items():
            yield from commands(command, (*path, name))


ALL = dict(commands(command_line()))


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_command_has_an_example_that_works(name: str) -> None:
    """The example in --help is one that the command understands."""
    paragraphs = (ALL[name].help or "").split("\n\n")
    examples = [" ".join(text.split()) for text in paragraphs if text.strip().startswith("Example: ")]
    assert examples, name
    for example in examples:
        line = re.sub(r"^([A-Z_]+=\S+ )+", "", example.removeprefix("Example: "))
        assert misunderstood(line) is None


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("rater tenant configure TENANT --no-recharge", None),
        ("rater tenant configure TENANT --recharge off", "nothing reads off"),
        ("rater tenant adjust TENANT -12.50", None),
        ("rater dlq show ID --raw > call.json", None),
        ("rater publish --deck FILE --name VERSION", "no option --name"),
        ("rater publish --deck", None),
        ("rater dlq list", "no command list"),
    ],
)
def test_a_wrong_command_in_a_text_is_found(line: str, wrong: str | None) -> None:
    """The check of examples, runbooks and pages can fail; a text may name an option without its value."""
    assert misunderstood(line) == (wrong and f"{line}: {wrong}")


#: A command within a message: what follows a placeholder or a sentence's end is not looked at.
_SHOWN = re.compile(r"(?<![\w./-])rater [a-z][a-z-]*(?: [a-z][a-z-]*)?[^`;,\n|\"{}:()]*")


def test_options_in_messages_exist() -> None:
    """What a message or a check says to type has options that its command has."""
    names = command_line().commands
    shown = {line for path in (ROOT / "rater").rglob("*.py") for line in _SHOWN.findall(path.read_text("utf-8"))}
    lines = [line.rstrip(" .,'") for line in shown if line.split()[1] in names and " --" in line]
    assert len(lines) > 20
    assert [wrong for line in lines if "no option" in (wrong := misunderstood(line) or "")] == []


@pytest.mark.parametrize("name", READING)
def test_what_reads_has_json(name: str) -> None:
    """Machines read what people read."""
    assert any("--json" in parameter.opts for parameter in ALL[name].params)


def test_nobody_passes_a_secret_as_an_argument() -> None:
    """Secrets come from files or the environment: arguments are seen by every user of the machine."""
    named = {
        option
        for command in ALL.values()
        for parameter in command.params
        for option in parameter.opts
        if re.search("password|secret|token", option) and not option.endswith("-file")
    }
    assert named == set()


@pytest.mark.parametrize(
    ("words", "wanted"), [("rater dl", {"dlq"}), ("rater dlq ", {"ls", "show", "replay", "drop"}), ("rater top", {"top", "topics"})]
)  # fmt: skip
def test_completion(words: str, wanted: set[str]) -> None:
    """What a shell asks when somebody presses the tab key."""
    asked = {
        "_RATER_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    ran = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['rater']; from rater.cli import main; main()"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | asked,
    )
    assert set(ran.stdout.split()) == wanted, ran.stderr


def test_the_readme_lists_the_exit_codes() -> None:
    """The closed list of rater/wire/errors.py."""
    text = (ROOT / "README.md").read_text("utf-8").partition("Exit codes: ")[2].partition("\n\n")[0]
    assert [int(code) for code in re.findall(r"(?:^|· |·\n)(\d+) ", text)] == sorted(Exit)
