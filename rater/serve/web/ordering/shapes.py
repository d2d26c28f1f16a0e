"""What orders are made of: how one is begun, the fields of its form, and what is wrong with what was typed."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from rater.core import Account, AnyCommand
from rater.files.licenses import WrongRow

#: What is done with a dead letter: its bytes are given again; a held record is let through before (A44); it is
#: never to be rated.
LetterWay = Literal["replay", "accept", "drop"]


class NotAllowed(Exception):
    """The role may look and not order."""


class NotPossible(Exception):
    """The role may order, but not this of the dead letter as it is."""


class WrongField(Exception):
    """What was typed cannot be meant: the field, and the text that says what is expected.

    `said` is what a reader of files said; `rows` are those of a file that are wrong.
    """

    def __init__(self, field: str, text: str, said: str = "", rows: Sequence[WrongRow] = ()) -> None:
        super().__init__(field, text)
        self.field, self.text, self.said, self.rows = field, text, said, rows


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """An order from when its form is shown: its id and time do not change any more, so it is done once at most.

    `usage_id` is the call that it is about, `letter` the id of the dead letter.
    """

    tenant: str
    kind: str
    id: str
    at: datetime
    person: str
    usage_id: str | None = None
    letter: str | None = None


class Field(NamedTuple):
    """A field of a form; `shape` is how it is typed, `choices` what is offered of a `choice`."""

    name: str
    shape: Literal["amount", "text", "lot", "tick", "file", "instant", "choice"]
    required: bool = True
    choices: tuple[str, ...] = ()


def _nothing_set(_account: Account, _typed: Mapping[str, str]) -> dict[str, str]:
    return {}


class Kind(NamedTuple):
    """A kind of order: its fields, and the commands that it becomes; `back` is the screen that it belongs to.

    One about a dead letter has a `letter`: what is done with it.  `set_now` is what its fields begin with, of a
    tenant and what is known of the fields: what is set at present.
    """

    fields: tuple[Field, ...]
    commands: Callable[[Begun, dict[str, str]], Sequence[AnyCommand]]
    back: str
    letter: LetterWay | None = None
    set_now: Callable[[Account, Mapping[str, str]], dict[str, str]] = _nothing_set
