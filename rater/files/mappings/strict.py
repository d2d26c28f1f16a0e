"""What the parts of a mapping file are made of: text with a limit; models in which unknown names are mistakes."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

NAMES_MAX = 1_000

Text = Annotated[str, StringConstraints(max_length=1_000)]
Some = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
Names = Annotated[tuple[Text, ...], Field(max_length=NAMES_MAX)]


class Strict(BaseModel):
    """Unknown names are mistakes, and no type is made of another."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
