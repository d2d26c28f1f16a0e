"""`rater backup`: a verified copy of a store."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from rater.cli.run import DEFAULT_STORE, StoreOption
from rater.embedded.backup import back_up


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("backup")(backup)


def backup(
    file: Annotated[Path, typer.Argument(help="The copy; one that is there is replaced by a whole one.")],
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Copy a store into one file, also while a run writes it; the copy is read again before it counts.

    It is for its owner alone (0600).  To restore it: end every run, move the store and what lies beside it
    (-wal, -shm) away, copy the backup to the store's name, and give the files that came since again.

    Example: rater backup rater-2025-04-01.db
    """
    size = back_up(store, file)
    print(f"{file}: {size:,} bytes, verified; a copy of {store}", file=sys.stderr)
