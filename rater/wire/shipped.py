"""Where files lie that are no Python: at the top of a checkout, or within the installed package."""

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
#: The build maps what is needed at run time to here (pyproject.toml, `force-include`).
_INSTALLED = _PACKAGE / "shipped"


def shipped(name: str) -> Path:
    """The folder of this name, such as `topics`."""
    inside = _INSTALLED / name
    return inside if inside.exists() else _PACKAGE.parent / name
