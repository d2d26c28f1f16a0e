"""Files that are generated from the code and committed: write them, or list which differ from the code."""

import sys
from collections.abc import Mapping
from pathlib import Path


def drifted(module: str, texts: Mapping[Path, str]) -> list[str]:
    """The files whose text on disk is another one, or that are not there; each with what writes it."""
    return [
        f"{path.name}: run python -m {module}"
        for path, text in texts.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def write_or_check(module: str, texts: Mapping[Path, str]) -> None:
    """`python -m MODULE`: write the files; with `--check` name those that have drifted and exit 1."""
    if "--check" in sys.argv[1:]:
        stale = drifted(module, texts)
        print("\n".join(stale), file=sys.stderr)
        sys.exit(bool(stale))
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
