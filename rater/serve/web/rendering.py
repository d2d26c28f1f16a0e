"""HTML out of templates: everything that is shown is text, whatever it holds; and the headers of each answer."""

import json
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import jinja2
from aiohttp import web
from markupsafe import Markup, escape

from rater.core import exponent_of, format_micros, parse_ledger, round_to_cents
from rater.serve.web.sessions import Session
from rater.serve.web.texts import Texts
from rater.wire.visible import visible

FOLDER = Path(__file__).parent
#: No script and no style but the files of this server; no frame, no form to elsewhere.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
#: Browsers that were here over TLS use nothing else for so long.
_STRICT_TRANSPORT = "max-age=31536000"
_Answer = TypeVar("_Answer", bound=web.StreamResponse)
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
#: The files that browsers get, by their names in a path.
STATIC = {path.name: path for path in sorted((FOLDER / "static").rglob("*")) if path.suffix in _TYPES}


class Pages:
    """The templates with their texts."""

    def __init__(self, texts: Texts, *, secure: bool) -> None:
        self.texts, self.secure = texts, secure
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            finalize=shown,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals |= {"t": texts, "language": texts.language}
        self._environment.tests["text"] = texts.names().__contains__
        self._environment.filters |= {
            "money": money,
            "rounded": rounded,
            "at": at,
            "minute": minute,
            "value": value,
            "path": path_part,
            "json": as_json,
            "units": format_micros,
        }

    def answer(
        self, template: str, session: Session | None, status: HTTPStatus = HTTPStatus.OK, **values: Any
    ) -> web.Response:
        """A page; `session` is who sees it."""
        return self.answer_of(self.text(template, session, **values), status)

    def text(self, template: str, session: Session | None, **values: Any) -> str:
        """The text of a page; what reads the store makes it in its own thread."""
        return self._environment.get_template(template).render(session=session, **values)

    def answer_of(self, text: str, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
        """A page with this text."""
        return self.with_headers(web.Response(text=text, status=status, content_type="text/html"))

    def go_to(self, path: str) -> web.Response:
        """The browser is to show another page: by GET, whatever this request was."""
        return self.with_headers(web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": path}))

    def static(self, name: str) -> web.Response:
        """A file of the page; 404 for any other."""
        path = STATIC.get(name)
        if path is None:
            return self.with_headers(web.Response(status=HTTPStatus.NOT_FOUND))
        answer = self.with_headers(web.Response(body=_content(path), content_type=_TYPES[path.suffix]))
        answer.charset = "utf-8"
        answer.headers["Cache-Control"] = "public, max-age=3600"
        answer.enable_compression()
        return answer

    def answer_file(self, name: str, media_type: str, content: bytes) -> web.Response:
        """A file that is saved under its name."""
        answer = self.with_headers(web.Response(body=content))
        answer.headers["Content-Type"] = media_type
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer

    def with_headers(self, answer: _Answer) -> _Answer:
        """The answer with the headers that every one has; it is not stored by anybody."""
        answer.headers.update(SECURITY_HEADERS)
        answer.headers["Cache-Control"] = "no-store"
        if self.secure:
            answer.headers["Strict-Transport-Security"] = _STRICT_TRANSPORT
        return answer


def shown(content: Any) -> Any:
    """What a browser would obey or hide, such as marks of direction, stands as its number instead."""
    if content is None:
        return ""
    return visible(content) if isinstance(content, str) and not isinstance(content, Markup) else content


def money(micros: int, currency: str) -> Markup:
    """An amount with all its decimals; one below zero is marked for who does not see its sign, too."""
    text = escape(f"{format_micros(micros)} {visible(currency)}")
    return Markup('<span class="{}">{}</span>').format("money below" if micros < 0 else "money", text)


def rounded(micros: int, currency: str) -> Markup:
    """An amount with the decimals of its currency, for summaries; what is exact is its title.

    Less than half of the last decimal is shown as it is: it is not nothing.
    """
    digits = round_to_cents(micros, exponent_of(currency))
    nearest = parse_ledger(digits)
    if micros and not nearest:
        return money(micros, currency)
    text = f"{digits} {visible(currency)}"
    kind = "money below" if micros < 0 else "money"
    if nearest == micros:
        return Markup('<span class="{}">{}</span>').format(kind, text)
    exact = f"{format_micros(micros)} {visible(currency)}"
    return Markup('<span class="{}" title="{}">{}</span>').format(kind, exact, text)


def at(instant: datetime | None) -> Markup:
    """A time in UTC; a script adds that of the reader's zone."""
    if instant is None:
        return Markup("–")
    utc = instant.astimezone(UTC)
    written = utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}">{} UTC</time>').format(written, utc.strftime("%Y-%m-%d %H:%M:%S"))


def minute(instant: datetime | None) -> Markup:
    """A time in UTC to the minute, for lists; its seconds are its title."""
    if instant is None:
        return Markup("–")
    utc = instant.astimezone(UTC)
    return Markup('<time datetime="{}" title="{} UTC" data-minute>{} UTC</time>').format(
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"), utc.strftime("%Y-%m-%d %H:%M:%S"), utc.strftime("%Y-%m-%d %H:%M")
    )


def value(text: str) -> Markup:
    """The value of a field of a form: as it is, because it comes back."""
    return escape(text)


def path_part(text: str) -> Markup:
    """A name as one part of a path, or as a parameter of it."""
    return Markup(quote(text, safe="").replace(".", "%2E"))  # noqa: S704 - letters, digits, "-_~" and "%"


def as_json(content: Any) -> Markup:
    """A value for a script to read, as the content of an attribute."""
    return escape(json.dumps(content, separators=(",", ":")))


@lru_cache
def _content(path: Path) -> bytes:
    return path.read_bytes()
