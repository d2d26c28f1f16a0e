"""The worker as a Faust application: made when it is asked for, once."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

#: As `faust -A rater.kafka.app` finds it.
FIND = """
from faust.cli.base import find_app
found = find_app("rater.kafka.app")
print(found.conf.id, found.conf.web_port, found is find_app("rater.kafka.app"))
"""


def ran(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | variables
    )


def test_fausts_command_line_finds_one_application() -> None:
    """`faust -A rater.kafka.app`: the variables say what it is; asked for twice, it is the same one."""
    found = ran("-c", FIND, RATER_PREFIX="blue-", RATER_WEB_PORT="6071")
    assert (found.returncode, found.stdout) == (0, "blue-rater-worker 6071 True\n"), found.stderr


@pytest.mark.parametrize(
    "words", [("-m", "rater", "worker", "--help"), ("-c", "import rater.kafka.app"), ("-m", "rater", "--help")]
)
def test_no_application_is_made_on_import(words: tuple[str, ...]) -> None:
    """A variable that cannot be used stops only what uses it."""
    assert ran(*words, RATER_SECURITY="TLS").returncode == 0


def test_an_application_with_a_wrong_variable() -> None:
    """The variable, what was expected, what stands there."""
    assert "RATER_SECURITY: expected 'PLAINTEXT', " in ran("-c", FIND, RATER_SECURITY="TLS").stderr
