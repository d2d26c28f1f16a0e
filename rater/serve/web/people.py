"""Who may sign in to the page: people with a role, in a file that `rater token create` writes.

People have a file of their own, beside the one of clients, for two reasons.  A program writes it, and would lose
the comments of a file that is written by hand; and who makes a token for a clerk needs no right to the file by
which switches are let in.  The file holds salted SHA-256 hashes, never a token (see rater.serve.clients).

people:
  - name: kim
    role: billing
    tenant: contoso
    tokens: [sha256:SALT:HASH]
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from rater.core import IDENTIFIER_LENGTH_MAX, RESERVED_TENANTS
from rater.files.atomic import whole_file
from rater.serve.clients import TOKENS_MAX, checked_hash, is_token_of
from rater.serve.written_file import WrittenFile, first_problem, read_file
from rater.wire.errors import RaterError

PEOPLE_MAX = 10_000


class Role(StrEnum):
    """What a person may see and do."""

    VIEWER = "viewer"  # sees one tenant
    BILLING = "billing"  # sees one tenant, and moves its money
    OPERATOR = "operator"  # sees every tenant, and moves the money of each


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError(f"expected a name without control characters or blanks around it, got {text!r}")
    return text


Name = Annotated[str, Field(min_length=1, max_length=IDENTIFIER_LENGTH_MAX), AfterValidator(_printable)]


class Grant(BaseModel):
    """A role, and the one tenant that it is for; an operator has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Role
    tenant: Name | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.tenant is None) != (self.role is Role.OPERATOR):
            raise ValueError("expected a tenant for viewer and billing, and none for operator")
        if self.tenant in RESERVED_TENANTS:
            raise ValueError(f"expected a tenant, got {self.tenant!r}")
        return self

    def sees(self, tenant: str) -> bool:
        """Whether the role is for this tenant."""
        return self.role is Role.OPERATOR or self.tenant == tenant

    @property
    def moves_money(self) -> bool:
        """Whether the role may order what moves money."""
        return self.role is not Role.VIEWER


class Person(Grant):
    """Somebody with tokens."""

    name: Name
    tokens: tuple[Annotated[str, AfterValidator(checked_hash)], ...] = Field(min_length=1, max_length=TOKENS_MAX)


class PeopleFile(BaseModel):
    """The file: every person once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    people: tuple[Person, ...] = Field(default=(), max_length=PEOPLE_MAX)

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        if len({person.name for person in self.people}) < len(self.people):
            raise ValueError("expected each name once")
        return self


class People:
    """The people of a file; `refresh` reads it again where it changed, and keeps what was good before."""

    def __init__(self, path: Path) -> None:
        """RaterError: the file cannot be read, or is wrong."""
        _check_there(path)
        self._file = WrittenFile(path, PeopleFile, "people")

    def refresh(self) -> None:
        """Read the file again if it changed; what is wrong with it is logged, and the people before stay."""
        self._file.refresh()

    def of(self, token: str) -> tuple[Person, str] | None:
        """Whose token this is, and its hash; every hash is compared."""
        found = [
            (person, hashed)
            for person in self._file.content.people
            for hashed in person.tokens
            if is_token_of(hashed, token)
        ]
        return found[0] if found else None

    def still(self, name: str, grant: Grant, hashed: str) -> bool:
        """Whether the file gives this person the same role by the same token as at the sign-in."""
        return any(
            person.name == name
            and (person.role, person.tenant) == (grant.role, grant.tenant)
            and hashed in person.tokens
            for person in self._file.content.people
        )


def read_people(path: Path) -> PeopleFile:
    """The people of a file; RaterError says in one line what is wrong."""
    _check_there(path)
    return read_file(path, PeopleFile, "people")


def _check_there(path: Path) -> None:
    if not path.exists():
        raise RaterError(f"{path}: no such file; `rater token create --help` says how it is made")


def add_token(path: Path, name: str, role: str, tenant: str | None, hashed: str) -> None:
    """Give a person a token; who is in the file with this role gets one more.  RaterError: it does not fit."""
    people = {person.name: person for person in read_people(path).people} if path.exists() else {}
    known = people.get(name)
    if known is not None and (known.role, known.tenant) != (role, tenant):
        for_tenant = f" of {known.tenant}" if known.tenant else ""
        raise RaterError(
            f"{path}: {name} is {known.role}{for_tenant} there; delete that entry first, or choose another name"
        )
    tokens = (*known.tokens, hashed) if known else (hashed,)
    try:
        people[name] = Person.model_validate({"name": name, "role": role, "tenant": tenant, "tokens": tokens})
        file = PeopleFile(people=tuple(people.values()))
    except ValidationError as wrong:
        raise RaterError(first_problem(wrong)) from None
    text = yaml.safe_dump(file.model_dump(mode="json", exclude_none=True), allow_unicode=True, sort_keys=False)
    with whole_file(path, private=True) as out:
        out.write(text)
