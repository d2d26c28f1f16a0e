"""The commands of the page, as processes of their own."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rater.wire.errors import Exit
from tests.commands import rater
from tests.forks import Forked
from tests.serve.web.world import Visitor
from tests.serve.world import clients_file

_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+\S*")


@contextmanager
def running(folder: Path, *words: str) -> Iterator[str]:
    """A command while the block runs, which gets the address that it printed."""
    with Forked(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            assert process.stdout is not None
            lines = (found[0] for line in process.stdout if (found := _ADDRESS.search(line)))
            yield next(lines)
        finally:
            process.terminate()


def test_a_token_that_was_made_signs_in(tmp_path: Path) -> None:
    """On standard output the token alone; the server finds its hash in the file of people."""
    clients_file(tmp_path)
    rater("run", "--store", "rater.db", "--commands", "/dev/null", cwd=tmp_path, code=0)
    words = ["token", "create", "--role", "billing", "--tenant", "contoso", "--person", "kim"]
    made = rater(*words, cwd=tmp_path, code=0)
    assert "kim, billing of contoso: its hash is in people.yaml" in made.stderr
    words = [
        "serve",
        "--store",
        "rater.db",
        "--clients",
        "clients.yaml",
        "--people",
        "people.yaml",
        "--web-port",
        "0",
    ]
    with running(tmp_path, *words) as address:
        shown = Visitor(address).sign_in(made.stdout.strip())
    assert shown.path == "/tenants/contoso/credits"
    assert shown.status == 404, "there is no tenant in the store yet"


def test_a_provider_is_named_by_a_variable(tmp_path: Path) -> None:
    """As on Kubernetes: operators have tokens in a file that is named, the variable names the provider's settings."""
    clients_file(tmp_path)
    made = rater(
        "token", "create", "--role", "operator", "--person", "olga", "--people", "people.yaml", cwd=tmp_path
    )
    assert "olga, operator: its hash is in people.yaml" in made.stderr
    words = ("serve", "--store", "rater.db", "--clients", "clients.yaml", "--people", "people.yaml")
    refused = rater(*words, cwd=tmp_path, environment={"RATER_SIGN_IN_FILE": "none.yaml"}, code=Exit.USAGE)
    assert "none.yaml" in refused.stderr


def test_the_demos_month_is_shown(tmp_path: Path) -> None:
    """The link signs in once as an operator; what stands there is the month of the demo, and no time passes."""
    with running(tmp_path, "dev", "page", "--out", "page", "--port", "0") as link:
        base, _, path = link.partition("/sign-in")
        visitor = Visitor(base)
        form = visitor.get("/sign-in" + path).form("/sign-in")
        words = visitor.post("/sign-in", form).words
        statement = visitor.get("/tenants/tailspin/statement?period=2025-03").words
        csv = visitor.get("/tenants/tailspin/statement/csv?period=2025-03")
    assert "tailspin suspended -136.37 USD" in words
    assert "2025-04-14 00:00 UTC" in words
    assert "-136.372" in statement
    assert csv.headers["Content-Disposition"] == 'attachment; filename="statement-2025-03.csv"'
    assert csv.text.startswith("tenant,currency,")
