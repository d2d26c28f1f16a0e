"""The fields of a form that was sent, and whether it is ours.

A form is ours if its browser says that a page of this server sent it, and if it brings back the key that the page
had.
"""

import hmac
import secrets
from urllib.parse import urlsplit

from aiohttp import web
from multidict import MultiMapping

#: A form of the page is a few kilobytes, with the sealed rows of a file some hundred; the limit of the server is
#: for bodies with records.
FORM_BYTES_MAX = 1024 * 1024
COOKIE = "rater-form"
FIELD = "form_key"
#: A file that was sent is a text with one character for each byte of it.
FILE_ENCODING = "latin-1"


class ForeignForm(Exception):
    """The form was not sent by a page of this server, or by one that is too old."""


async def fields_of(request: web.Request, form_key: str, bytes_max: int = FORM_BYTES_MAX) -> dict[str, str]:
    """The fields of a form, files too (FILE_ENCODING); raises ForeignForm."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise ForeignForm
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise ForeignForm
    if (request.content_length or 0) > bytes_max:
        raise web.HTTPRequestEntityTooLarge(bytes_max, request.content_length or 0)
    sent = _texts(await request.post())
    if not form_key or not hmac.compare_digest(sent.get(FIELD, "").encode(), form_key.encode()):
        raise ForeignForm
    return sent


def key_before_sign_in(request: web.Request) -> str:
    """The key of the form by which people sign in: they have no session yet, so it is in a cookie of its own."""
    return request.cookies.get(COOKIE, "")


def new_key() -> str:
    """A key that nobody can guess."""
    return secrets.token_urlsafe(24)


def _texts(sent: MultiMapping[object]) -> dict[str, str]:
    texts = {name: text for name, text in sent.items() if isinstance(text, str)}
    files = {
        name: field.file.read().decode(FILE_ENCODING)
        for name, field in sent.items()
        if isinstance(field, web.FileField)
    }
    return texts | files
