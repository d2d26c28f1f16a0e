"""Sessions: who is signed in, in a cookie that only this server can write, and that nobody can read.

The cookie is sealed by Fernet (AES and HMAC, with its time), by a key in a file that is its owner's alone; several
servers with the same key know each other's sessions.  It is http-only and SameSite=Strict.  What a form will send
is sealed by the same key, so that exactly what was shown is sent.
"""

import secrets
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from aiohttp import web
from cryptography.fernet import Fernet, InvalidToken

from rater.files.atomic import whole_file
from rater.serve.web.ended import EndedSessions
from rater.serve.web.people import Grant, People, Role
from rater.wire.errors import RaterError

COOKIE = "rater-session"
#: From the sign-in to the end of a session.
SESSION_H = 8
_Sealed = TypeVar("_Sealed", bound=msgspec.Struct)


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A person who is signed in.

    `by` is how: by a token (`hashed` is its hash in the people's file), a link, or a provider of OpenID Connect.
    `form_key` must come back with every form.
    """

    person: str
    role: Role
    tenant: str | None
    by: Literal["token", "link", "provider"]
    began: datetime
    hashed: str | None = None
    id: str = msgspec.field(default_factory=lambda: secrets.token_hex(16))
    form_key: str = msgspec.field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def grant(self) -> Grant:
        """What the person may see and do."""
        return Grant(role=self.role, tenant=self.tenant)


class Seal:
    """Writes what only this server can write, and reads it again."""

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(key)

    def seal(self, value: msgspec.Struct) -> str:
        """The value, sealed together with its kind and the present time."""
        return self._fernet.encrypt(type(value).__name__.encode() + b" " + msgspec.json.encode(value)).decode()

    def open(self, text: str, kind: type[_Sealed], within_s: int) -> _Sealed | None:
        """The value of a kind that was sealed at most so long ago; None for anything else."""
        try:
            plain = self._fernet.decrypt(text.encode(), ttl=within_s)
        except (InvalidToken, UnicodeEncodeError):
            return None
        name, _, value = plain.partition(b" ")
        return msgspec.json.decode(value, type=kind) if name == kind.__name__.encode() else None


class Sessions:
    """The sessions of the page.  `secure` cookies are sent over TLS only."""

    def __init__(self, seal: Seal, people: People, ended: EndedSessions, *, secure: bool) -> None:
        self._seal, self._people, self._ended, self._secure = seal, people, ended, secure

    def of(self, request: web.Request) -> Session | None:
        """Who asks; None where nobody is signed in, the session is over, or the token was taken out of the file."""
        shown = request.cookies.get(self._name)
        session = self._seal.open(shown, Session, SESSION_H * 3600) if shown else None
        if session is None or session.id in self._ended:
            return None
        if session.hashed and not self._people.still(session.person, session.grant, session.hashed):
            return None
        return session

    def begin(self, answer: web.StreamResponse, session: Session) -> None:
        """Sign a person in with this answer."""
        answer.set_cookie(
            self._name,
            self._seal.seal(session),
            max_age=SESSION_H * 3600,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=self._secure,
        )

    def end(self, answer: web.StreamResponse, session: Session) -> None:
        """Sign a person out: the cookie is deleted, and a copy of it counts no more at any server."""
        self._ended.add(session.id)
        answer.del_cookie(self._name, path="/", httponly=True, samesite="Strict", secure=self._secure)

    @property
    def _name(self) -> str:
        """Browsers accept a name with this prefix over TLS only, and for this host alone."""
        return f"__Host-{COOKIE}" if self._secure else COOKIE


def key_of(path: Path) -> bytes:
    """The key in a file, which is made where it is not there; RaterError: it is none, or others may read it."""
    try:
        if not path.exists():
            with whole_file(path, private=True) as out:
                out.write(Fernet.generate_key().decode() + "\n")
        if path.stat().st_mode & 0o077:
            raise RaterError(f"{path}: others may read this key; expected: chmod 600 {path}")
        key = path.read_text(encoding="ascii").strip().encode()
        Fernet(key)
    except (OSError, UnicodeDecodeError, ValueError) as wrong:
        raise RaterError(f"{path}: expected the key of sessions; delete the file, and a new one is made") from wrong
    return key
