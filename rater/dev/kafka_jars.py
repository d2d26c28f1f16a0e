"""Kafka's jars, fetched by Maven as a `pom.xml` names them; their folder appears with all of them."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from rater.wire.errors import RaterError


def fetch_jars(jars: Path, pom: Path) -> None:
    """Make the folder; also while another process does, and after one was killed at it.

    RaterError: there is no Maven, or it cannot fetch them.
    """
    jars.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="jars-", dir=jars.parent) as folder:
        fetched = Path(folder) / "jars"
        _fetch(fetched, pom)
        try:
            fetched.rename(jars)
        except OSError:  # there is one: of a process that was quicker, or that was killed before it had all
            for jar in fetched.iterdir():
                jar.replace(jars / jar.name)


def _fetch(jars: Path, pom: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise RaterError("no Maven found, which fetches Kafka's jars; on Debian: apt install maven")
    fetched = subprocess.run(  # noqa: S603 - our own arguments
        [
            maven,
            "--quiet",
            "--batch-mode",
            f"--file={pom}",
            "dependency:copy-dependencies",
            f"-DoutputDirectory={jars.absolute()}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if fetched.returncode:
        said = (fetched.stdout + fetched.stderr).strip().splitlines()
        raise RaterError(f"Maven could not fetch Kafka: {said[0] if said else 'no reason given'}")
