"""Who may ask: clients (switches, gateways) with their tokens, in a file that is read again when it changes.

The file holds salted SHA-256 hashes, never a token.  A token is 32 random bytes, so a fast hash is enough: nobody
can try them all.  Two tokens of one client are good at once while one replaces the other.

clients:
  - name: freeswitch-1
    tokens: [sha256:SALT:HASH]
    may: [cdrs, call-events, authorize, call-commands]
  - name: billing-portal
    tokens: [sha256:SALT:HASH]
    may: [read]
    role: billing
    tenant: contoso
"""

import base64
import binascii
import hmac
import re
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Literal, Self

import structlog
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rater.core import IDENTIFIER_LENGTH_MAX
from rater.serve.written_file import WrittenFile, read_file

Right = Literal["cdrs", "call-events", "authorize", "call-commands", "commands", "read"]
#: Whose figures a client with the right `read` reads: those of its tenant, or (operator) everybody's.
Role = Literal["viewer", "billing", "operator"]
#: What a switch does; `commands` (money, users, licences) and `read` are given by name only.
SWITCH_RIGHTS: tuple[Right, ...] = ("cdrs", "call-events", "authorize", "call-commands")
CLIENTS_MAX = 1_000
TOKENS_MAX = 4
BODY_BYTES_DEFAULT, BODY_BYTES_MAX = 2_000_000, 16_000_000
_HASHED = re.compile(r"sha256:((?:[0-9a-f]{2}){8,32}):([0-9a-f]{64})")
_TOKEN_BYTES, _SALT_BYTES = 32, 16

log = structlog.get_logger("rater.serve")


class Client(BaseModel):
    """One switch or gateway: its hashed tokens, what it may do, and how much it may send."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    tokens: tuple[str, ...] = Field(min_length=1, max_length=TOKENS_MAX)
    may: tuple[Right, ...] = SWITCH_RIGHTS
    tenant: str | None = Field(
        default=None,
        min_length=1,
        max_length=IDENTIFIER_LENGTH_MAX,
        description="of records whose mapping names none; the one that a viewer or billing reads",
    )
    role: Role | None = None
    reads_per_s: int = Field(default=50, ge=1, le=100_000)
    records_per_s: int = Field(default=5_000, ge=1, le=1_000_000)
    body_bytes_max: int = Field(default=BODY_BYTES_DEFAULT, ge=1_000, le=BODY_BYTES_MAX)

    @field_validator("tokens")
    @classmethod
    def _checked_hash(cls, tokens: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(checked_hash, tokens))

    @model_validator(mode="after")
    def _reads_somebody(self) -> Self:
        if ("read" in self.may) != (self.role is not None):
            raise ValueError(
                "expected `role: viewer`, `billing` or `operator` with `may: [read]`, and only with it"
            )
        if self.role in ("viewer", "billing") and self.tenant is None:
            raise ValueError(f"expected `tenant:` with `role: {self.role}`; who reads every tenant is an operator")
        return self

    def may_read(self, tenant: str) -> bool:
        """Whether it may read this tenant's figures."""
        return "read" in self.may and (self.role == "operator" or self.tenant == tenant)

    def knows(self, token: str) -> bool:
        """Whether this is one of its tokens; every one is compared."""
        return sum(is_token_of(hashed, token) for hashed in self.tokens) > 0


class ClientsFile(BaseModel):
    """The file: every client once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clients: tuple[Client, ...] = Field(min_length=1, max_length=CLIENTS_MAX)

    @field_validator("clients")
    @classmethod
    def _names_once(cls, clients: tuple[Client, ...]) -> tuple[Client, ...]:
        names = [client.name for client in clients]
        if len(set(names)) < len(names):
            raise ValueError("expected each name once")
        return clients


class Clients:
    """The clients of a file; `refresh` reads it again where it changed, and keeps what was good before."""

    def __init__(self, path: Path) -> None:
        """RaterError: the file cannot be read, or is wrong."""
        self._path = path
        self._file = WrittenFile(path, ClientsFile, "clients")

    def refresh(self) -> None:
        """Read the file again if it changed; what is wrong with it is logged, and the clients before stay."""
        if self._file.refresh():
            log.info("the clients were read again", path=str(self._path), clients=len(self._file.content.clients))

    def of(self, authorization: str | None) -> Client | None:
        """Whose token an Authorization header shows: `Bearer TOKEN`, or `Basic` with the token as password."""
        token = _token_of(authorization or "")
        if token is None:
            return None
        known = [client for client in self._file.content.clients if client.knows(token)]
        return known[0] if known else None


def read_clients(path: Path) -> ClientsFile:
    """The clients of a file; RaterError says in one line what is wrong."""
    return read_file(path, ClientsFile, "clients")


def checked_hash(text: str) -> str:
    """The text of a file, if it is a hash; ValueError for anything else, such as the token itself."""
    if _HASHED.fullmatch(text) is None:
        raise ValueError("expected sha256:SALT:HASH, which `rater serve-token NAME` prints, and never a token")
    return text


def is_token_of(hashed: str, token: str) -> bool:
    """Whether a hash of a file is this token's; as long whether or not it is."""
    _, salt, digest = hashed.split(":")
    return hmac.compare_digest(digest, _hash(salt, token))


def new_token() -> tuple[str, str]:
    """A token and its line for the file."""
    token, salt = secrets.token_urlsafe(_TOKEN_BYTES), secrets.token_hex(_SALT_BYTES)
    return token, f"sha256:{salt}:{_hash(salt, token)}"


def _hash(salt: str, token: str) -> str:
    return sha256(bytes.fromhex(salt) + token.encode("utf-8", "surrogateescape")).hexdigest()


def _token_of(authorization: str) -> str | None:
    scheme, _, rest = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip() or None
        case "basic":
            try:
                pair = base64.b64decode(rest.strip(), validate=True).decode("utf-8", "surrogateescape")
            except (binascii.Error, ValueError):
                return None
            return pair.partition(":")[2] or None
        case _:
            return None
