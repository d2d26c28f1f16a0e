"""Every text of the page, by its name; a language is one file beside `en.yaml` with the same names."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from rater.wire.bounded_yaml import load_yaml
from rater.wire.visible import visible

FOLDER = Path(__file__).parent
LANGUAGE = "en"
_COMMAND = re.compile("`([^`]+)`")


class Texts:
    """The texts of a language."""

    def __init__(self, language: str = LANGUAGE) -> None:
        self.language = language
        read = load_yaml((FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
        self._texts = dict(_flat(read))

    def __call__(self, name: str, **values: Any) -> Markup:
        """A text with its values in place, as HTML; values are shown as text, whatever they hold.

        What stands between backticks is a command.
        """
        shown = {key: value if isinstance(value, Markup) else visible(str(value)) for key, value in values.items()}
        text = _COMMAND.sub(r"<code>\1</code>", str(escape(self._texts[name])))
        return Markup(text).format(**shown)  # noqa: S704 - the text is ours, and escaped; values are by format

    def names(self) -> set[str]:
        """The name of every text."""
        return set(self._texts)


def _flat(texts: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in texts.items():
        found += _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else [(f"{above}{name}", str(value))]
    return found
