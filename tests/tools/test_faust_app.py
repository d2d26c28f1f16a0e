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
    "made",
    [
        "from rater.kafka.app import make_app; app = make_app(KafkaSettings(), WorkerSettings(), RatingSettings(), 6066)",
        "from rater.agents.app import make_app; app = make_app(KafkaSettings(), AgentsSettings(), RatingSettings(), 6066)",
    ],
    ids=["worker", "agents"],
)
@pytest.mark.parametrize(
    ("variables", "listens"),
    [({}, "127.0.0.1"), ({"RATER_WEB_HOST": "0.0.0.0"}, "0.0.0.0")],
    ids=["not set", "set"],
)
def test_where_the_web_port_listens(made: str, variables: dict[str, str], listens: str) -> None:
    """On this machine alone until RATER_WEB_HOST says otherwise; Faust alone would listen on every address."""
    imports = (
        "from rater.core import RatingSettings; from rater.kafka.settings import KafkaSettings, WorkerSettings;"
        " from rater.agents.settings import AgentsSettings; "
    )
    found = ran("-c", f"{imports}{made}; print(app.conf.web_bind)", **variables)
    assert found.stdout == f"{listens}\n", found.stderr


@pytest.mark.parametrize(
    "words", [("-m", "rater", "worker", "--help"), ("-c", "import rater.kafka.app"), ("-m", "rater", "--help")]
)
def test_no_application_is_made_on_import(words: tuple[str, ...]) -> None:
    """A variable that cannot be used stops only what uses it."""
    assert ran(*words, RATER_SECURITY="TLS").returncode == 0


def test_an_application_with_a_wrong_variable() -> None:
    """The variable, what was expected, what stands there."""
    assert "RATER_SECURITY: expected 'PLAINTEXT', " in ran("-c", FIND, RATER_SECURITY="TLS").stderr
