"""Libraries that only some commands need: the extras of pyproject.toml.  A worker's image has none of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from rater.wire.errors import RaterError

#: Extra -> the packages that it installs.
EXTRAS = {"excel": ("openpyxl", "XlsxWriter"), "parquet": ("pyarrow",), "plots": ("matplotlib",)}


class MissingExtraError(RaterError):
    """A library is not installed: which extra it belongs to, and the command that installs it."""


def installed(extra: str) -> bool:
    """Whether every library of an extra is there; each is imported by the name of its package in small letters."""
    return all(find_spec(package.lower()) is not None for package in EXTRAS[extra])


@contextmanager
def needed(extra: str, where: str) -> Iterator[None]:
    """Around the import of an extra's library for `where`, a file or an option.

    The packages are named one by one: where rater itself is not installed as a package, as in the image,
    `pip install rater[excel]` would look for a package of that name elsewhere.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        raise MissingExtraError(
            f"{where}: expected the libraries of the extra rater[{extra}], got no {missing.name};"
            f" install them: pip install {' '.join(EXTRAS[extra])}"
        ) from missing
