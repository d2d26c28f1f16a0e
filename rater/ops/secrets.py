"""Where a secret is kept: a file or an environment variable, never the settings themselves.

Errors name the place only.
"""

import os
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from rater.wire.errors import RaterError


class SecretSource(BaseModel):
    """One of the two: a file whose first line is the secret, or the name of an environment variable."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path | None = None
    env: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise ValueError("expected either file or env, and not both")
        return self

    def read(self, purpose: str) -> str:
        """The secret; RaterError says which place is empty or cannot be read, and what it is needed for."""
        if self.env is not None:
            found = os.environ.get(self.env, "").strip()
            if not found:
                raise RaterError(f"{purpose}: expected it in the environment variable {self.env}, which is not set")
            return found
        assert self.file is not None
        try:
            text = self.file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as wrong:
            raise RaterError(f"{purpose}: {self.file} cannot be read: {wrong}") from wrong
        first = text.partition("\n")[0].strip()
        if not first:
            raise RaterError(f"{purpose}: expected it in the first line of {self.file}, which is empty")
        return first
