"""Reads a scenario file with its rate deck; every error names file, line and field."""

import re
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from rater.core import RateDeck, RatingSettings
from rater.dev.scenarios.model import ACTIONS, Scenario
from rater.files.deck_csv import read_deck
from rater.wire.errors import RaterError
from rater.wire.words import in_words
from rater.wire.yaml_lines import Lines, line_of, load

#: Errors whose own words speak of Python's types.
_SAID = {
    "extra_forbidden": "not a field of the scenario format",
    "tuple_type": "expected a list",
    "model_type": "expected a mapping",
    "dict_type": "expected a mapping",
}
#: The setting that msgspec's message names.
_NAMED = re.compile(r"`(?:\$\.)?(\w+)(?:\[.*\])?`$")


class ScenarioFile(msgspec.Struct, frozen=True):
    """A scenario that was read, with the lines of its parts for messages."""

    path: Path
    scenario: Scenario
    settings: RatingSettings
    #: The one that is in force at first, then those that steps name.
    decks: tuple[RateDeck, ...]
    lines: Lines

    def step_line(self, index: int) -> int:
        """The line at which a step starts."""
        return line_of(self.lines, ("steps", index))


def read_scenario(path: Path) -> ScenarioFile:
    """Read and check one file; RaterError names file, line and field."""
    try:
        document, lines = load(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as wrong:
        raise RaterError(f"{path}: cannot be read: {wrong}") from wrong
    if not isinstance(document, dict):
        raise RaterError(f"{path}:1: expected a mapping with scenario, tenant and steps")
    _check_steps(path, document, lines)
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as wrong:
        raise RaterError(_say(path, lines, wrong)) from wrong
    decks = tuple(_deck(path, scenario, name, lines) for name in (scenario.rate_deck, *scenario.more_decks))
    return ScenarioFile(path, scenario, _settings(path, scenario, lines), decks, lines)


def _check_steps(path: Path, document: dict[str, Any], lines: Lines) -> None:
    steps = document.get("steps")
    for index, step in enumerate(steps if isinstance(steps, list) else []):
        actions = [name for name in ACTIONS if isinstance(step, dict) and step.get(name) is not None]
        line = line_of(lines, ("steps", index))
        if len(actions) != 1:
            got = ", ".join(actions) or "none"
            raise RaterError(
                f"{path}:{line}: steps[{index}]: expected exactly one of {', '.join(ACTIONS)}, got {got}"
            )
        license = step.get("license")
        if isinstance(license, dict) and ("assign" in license) == ("remove" in license):
            raise RaterError(f"{path}:{line}: steps[{index}].license: expected either assign or remove")


def _settings(path: Path, scenario: Scenario, lines: Lines) -> RatingSettings:
    try:
        return msgspec.convert(scenario.settings, RatingSettings)
    except msgspec.ValidationError as wrong:
        named = _NAMED.search(str(wrong))
        line = line_of(lines, ("settings", named[1]) if named else ("settings",))
        known = ", ".join(RatingSettings.__struct_fields__)
        field, message = in_words(wrong, RatingSettings, scenario.settings)
        said = f"{field}: {message}" if field else message
        raise RaterError(f"{path}:{line}: settings: {said}; the settings are {known}") from wrong


def _deck(path: Path, scenario: Scenario, name: str, lines: Lines) -> RateDeck:
    try:
        return read_deck(path.parent / name, version=name, currency=scenario.tenant.currency)
    except RaterError as wrong:
        field = "rate_deck" if name == scenario.rate_deck else "steps"
        raise RaterError(f"{path}:{line_of(lines, (field,))}: {field}: {wrong}") from wrong


def _say(path: Path, lines: Lines, wrong: ValidationError) -> str:
    """The first error as one line: file, line, field, what was expected."""
    # Of what may be a text or a mapping, the mapping's own complaints say more than "expected a text".
    first = min(wrong.errors(), key=lambda error: error["type"] not in ("extra_forbidden", "value_error"))
    where = tuple(part for part in first["loc"] if (part in ("from", "to")) or not str(part).endswith("License"))
    field = "".join(f"{part}: " for part in [".".join(str(part) for part in where)] if part)
    said = _SAID.get(first["type"], first["msg"]).removeprefix("Value error, ")
    return f"{path}:{line_of(lines, where)}: {field}{said}"
