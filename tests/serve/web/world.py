"""The page over a store in this process, and people who use it without a script."""

import html
import re
import secrets
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from typing import NamedTuple

from rater.serve.clients import new_token
from rater.serve.web.links import Links
from rater.serve.web.people import People, add_token
from rater.serve.web.sessions import key_of
from rater.serve.web.site import WebPage

#: Name -> role and tenant.
PEOPLE = {"olga": ("operator", None), "kim": ("billing", "contoso"), "val": ("viewer", "contoso")}
_FORM = re.compile(r'<form method="post" action="([^"]*)"[^>]*>(.*?)</form>', re.DOTALL)
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


class Shown(NamedTuple):
    """A page that came back, and where redirections ended."""

    status: int
    path: str
    headers: dict[str, str]
    text: str

    def form(self, action: str) -> dict[str, str]:
        """The hidden fields of the form that is sent to a path."""
        (found,) = [inner for target, inner in _FORM.findall(self.text) if html.unescape(target) == action]
        return {name: html.unescape(value) for name, value in _HIDDEN.findall(found)}

    @property
    def words(self) -> str:
        """What a reader sees of it."""
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", self.text)).split())


class Visitor:
    """A browser without scripts; `headers` are sent with each request."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.cookies = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, path: str, **headers: str) -> Shown:
        """Open a page."""
        return self._ask(urllib.request.Request(self.base + path, headers=_named(headers)))

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Shown:
        """Send a form."""
        body = urllib.parse.urlencode(fields).encode()
        return self._ask(urllib.request.Request(self.base + path, body, _named(headers)))

    def upload(self, path: str, fields: dict[str, str], name: str, content: bytes) -> Shown:
        """Send a form with a file."""
        mark = secrets.token_hex(16)
        parts = [
            f'--{mark}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{text}\r\n'.encode()
            for field, text in fields.items()
        ]
        head = f'--{mark}\r\nContent-Disposition: form-data; name="{name}"; filename="x.csv"\r\n'
        parts += [f"{head}Content-Type: text/csv\r\n\r\n".encode(), content, f"\r\n--{mark}--\r\n".encode()]
        type = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        return self._ask(urllib.request.Request(self.base + path, b"".join(parts), type))

    @contextmanager
    def events(self, path: str) -> Iterator[Iterator[str]]:
        """The names of the events that a server sends, as they come; the first one says that it looks."""
        with self._opener.open(self.base + path, timeout=60) as stream:
            assert stream.headers["Content-Type"] == "text/event-stream"
            yield (line.decode().split(":", 1)[1].strip() for line in stream if line.startswith(b"event:"))

    def post_to(self, address: str, fields: dict[str, str]) -> Shown:
        """Send a form to another server."""
        return self._ask(urllib.request.Request(address, urllib.parse.urlencode(fields).encode()))

    def sign_in(self, token: str) -> Shown:
        """Sign in by a token."""
        form = self.get("/sign-in").form("/sign-in")
        return self.post("/sign-in", form | {"token": token})

    def _ask(self, request: urllib.request.Request) -> Shown:
        try:
            with self._opener.open(request, timeout=30) as answer:
                return self._shown(answer.status, answer.url, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as refused:
            return self._shown(refused.code, refused.url or "", dict(refused.headers), refused.read())

    def _shown(self, status: int, url: str, headers: dict[str, str], body: bytes) -> Shown:
        return Shown(status, url.removeprefix(self.base), headers, body.decode())


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


class Admitted(NamedTuple):
    """A page, and the token of each person who may sign in to it."""

    page: WebPage
    tokens: dict[str, str]
    file: Path


def admitted(folder: Path, people: dict[str, tuple[str, str | None]] | None = None) -> Admitted:
    """A page for these people."""
    tokens, file = {}, folder / "people.yaml"
    for name, (role, tenant) in (people or PEOPLE).items():
        tokens[name], hashed = new_token()
        add_token(file, name, role, tenant, hashed)
    page = WebPage(People(file), key_of(folder / "page.key"), folder / "page.key.ended", Links(), False)
    return Admitted(page, tokens, file)
