"""`switches.yaml`: the switches that orders are carried to.  Secrets are named by where they are.

switches:
  - name: kamailio-1
    kind: kamailio
    address: http://127.0.0.1:5060/RPC
    tenants: [contoso, fabrikam]
"""

import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from rater.files.mappings import load as load_mapping
from rater.ops.metrics.labels import NO_SWITCH
from rater.ops.secrets import SecretSource
from rater.wire.addresses import http_address, is_in_the_clear
from rater.wire.errors import RaterError
from rater.wire.yaml_lines import line_of, load

#: Stands for every tenant that no switch names.
EVERYBODY = "*"
#: Each has series of its own in the metrics.
SWITCHES_MAX = 100
TENANTS_MAX = 10_000


class SwitchKind(StrEnum):
    """By which interface a switch is reached."""

    KAMAILIO = "kamailio"  # JSON-RPC over HTTP
    FREESWITCH = "freeswitch"  # mod_xml_rpc
    ASTERISK = "asterisk"  # ARI
    WEBHOOK = "webhook"  # a program of the operator, by Standard Webhooks


_BASIC = frozenset({SwitchKind.FREESWITCH, SwitchKind.ASTERISK})
Method = Literal["dlg.terminate_dlg", "dlg.end_dlg"]


class SwitchEntry(BaseModel):
    """One switch; every limit has a safe default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    kind: SwitchKind
    #: Kamailio and webhook: the whole address.  FreeSWITCH: that of mod_xml_rpc, such as http://127.0.0.1:8080.
    #: Asterisk: that of ARI, such as http://127.0.0.1:8088/ari.
    address: str
    #: With a secret: Basic authentication.  Needed by FreeSWITCH and Asterisk.
    user: str | None = Field(default=None, pattern=r"^[^:\s]{1,64}$")
    #: The password of `user`; without a user Kamailio is shown it as `Authorization: Bearer ...`.
    #: Of a webhook: the key, `whsec_` and base64.
    secret: SecretSource | None = None
    #: Kamailio: `dlg.terminate_dlg` by call id and tags, `dlg.end_dlg` by the dialog's entry and id.
    method: Method | None = None
    #: The tenants whose calls it has, unless an event of the call names its switch; `*`: all that no other names.
    tenants: frozenset[str] = Field(default=frozenset({EVERYBODY}), min_length=1, max_length=TENANTS_MAX)
    #: Reads what the client of the HTTP server with the same name posts: a YAML file, or a preset.
    mapping: str | None = Field(default=None, min_length=1)
    #: Allow `http:` to other machines: for a private network that encrypts by itself.
    allow_http: bool = False
    #: Seconds to wait for an answer.
    timeout_s: float = Field(default=5, gt=0, le=60)
    #: Seconds until an order that was not obeyed is given again: the first wait, doubled up to the second.
    retry_wait_initial_s: float = Field(default=0.5, gt=0, le=60)
    retry_wait_max_s: float = Field(default=15, gt=0, le=600)
    #: After so many seconds an order counts as failed.
    give_up_after_s: float = Field(default=300, ge=1, le=86_400)

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name == NO_SWITCH:
            raise ValueError(f"expected another name than {NO_SWITCH}, which stands for no switch in the metrics")
        return name

    @field_validator("address")
    @classmethod
    def _absolute(cls, address: str) -> str:
        return http_address(address, "http://127.0.0.1:8080", "secret")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if is_in_the_clear(self.address) and not self.allow_http:
            raise ValueError(f"expected https, got {self.address}; allow_http permits it on a private network")
        if self.method is not None and self.kind is not SwitchKind.KAMAILIO:
            raise ValueError(f"expected method with the kind kamailio only, got it with {self.kind}")
        if self.kind in _BASIC and (self.user is None or self.secret is None):
            raise ValueError(f"expected user and secret, which {self.kind} needs")
        if self.kind is SwitchKind.WEBHOOK and (self.secret is None or self.user is not None):
            raise ValueError("expected secret, the key of the signature, and no user with the kind webhook")
        if self.user is not None and self.secret is None:
            raise ValueError("expected user and secret together")
        return self

    def read_secret(self) -> str | None:
        """Its secret; RaterError: its place is empty or cannot be read."""
        return None if self.secret is None else self.secret.read(f"the secret of switch {self.name}")


class SwitchesFile(BaseModel):
    """The file: every switch once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    switches: tuple[SwitchEntry, ...] = Field(min_length=1, max_length=SWITCHES_MAX)

    @field_validator("switches")
    @classmethod
    def _names_once(cls, switches: tuple[SwitchEntry, ...]) -> tuple[SwitchEntry, ...]:
        names = [switch.name for switch in switches]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"expected each name once, got {', '.join(twice)} twice")
        return switches


def switches_file(given: Path | None) -> Path | None:
    """The file that is given, else the one that RATER_SWITCHES_FILE names, if any."""
    named = os.environ.get("RATER_SWITCHES_FILE")
    return given or (Path(named) if named else None)


def read_switches(path: Path) -> SwitchesFile:
    """The switches of a file; RaterError names file, line and field of what is wrong, one line for each."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        raise RaterError(f"{path}: the switches cannot be read: {wrong}") from wrong
    written, lines = load(text, str(path))
    try:
        return SwitchesFile.model_validate(written)
    except ValidationError as wrong:
        found = []
        for error in wrong.errors(include_url=False, include_context=False):
            place = error["loc"]
            where = f"{path}:{line_of(lines, place)}: {'.'.join(map(str, place)) or 'the file'}"
            found.append(f"{where}: {_expected(error['type'], error['msg'], place[-1:] and place[-1])}")
        raise RaterError("\n".join(found)) from None


def wrong_switches(path: Path) -> Iterator[str]:
    """What is wrong with a file, and with the secrets and mappings that it names, one line for each."""
    try:
        found = read_switches(path)
    except RaterError as wrong:
        yield from str(wrong).splitlines()
        return
    for switch in found.switches:
        try:
            switch.read_secret()
        except RaterError as wrong:
            yield f"{path}: {wrong}"
        try:
            if switch.mapping is not None:
                load_mapping(switch.mapping)
        except RaterError as wrong:
            yield f"{path}: the mapping of switch {switch.name}: {wrong}"


def _expected(kind: str, message: str, field: object) -> str:
    if kind in ("model_type", "model_attributes_type") and field == "secret":
        return "expected its place, `file` or `env`, and never the secret itself"
    if kind == "missing":
        return "expected a value, got none"
    if kind == "extra_forbidden":
        return "expected no setting of this name"
    text = message.removeprefix("Value error, ").replace("Input should be", "expected", 1)
    text = text.replace("Tuple should have", "expected", 1).replace(" after validation, not ", ", got ", 1)
    return text[:1].lower() + text[1:]
