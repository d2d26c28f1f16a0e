"""Compare price lists and licences: a form, a page that waits for the outcome, its table and chart, a CSV file.

What is computed is `rater what-if`; nothing is changed by it, so every role may ask for its own tenant.  Versions
that are known are offered to operators alone: a tenant need not see prices that are not in force.
"""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import web

from rater.core import SKUS, Account
from rater.engine.difference import GROUPS, Line
from rater.files.export import write
from rater.files.statement import MEDIA_TYPES
from rater.files.what_if import SHEET, rows_of
from rater.serve.reading.comparisons import Comparison, Comparisons, Wanted
from rater.serve.reading.desks import Books, Desks
from rater.serve.web.forms import FILE_ENCODING, fields_of
from rater.serve.web.rendering import Pages, path_part
from rater.serve.web.screens import Asked, NoSuchThing, WrongQuestion, frame
from rater.serve.web.screens.compare import check_period, form_of, versions_for
from rater.serve.web.sessions import Session

#: A price list of 50,000 prefixes has some 4 MB.
DECK_BYTES_MAX = 8 * 1024 * 1024
#: Lines of a table, and bars of the chart.
LINES_MAX, BARS_MAX = 100, 12
#: A page whose comparison runs is asked for again.
_AGAIN_S = "1"
#: Before that it waits so long for the outcome.
_WAITED_S = 2.0


class Comparing:
    """The pages of comparisons."""

    def __init__(self, pages: Pages, desks: Desks, comparisons: Comparisons) -> None:
        self._pages, self._desks, self._comparisons = pages, desks, comparisons

    async def begin(self, request: web.Request, session: Session) -> web.Response:
        """Begin a comparison, then show its page; a form that cannot be read comes back."""
        account, versions = await self._known(request, session)
        sent = await fields_of(request, session.form_key, DECK_BYTES_MAX)
        try:
            wanted = _wanted(account, versions, sent)
        except WrongQuestion as wrong:
            values = frame(account.tenant, "compare")
            values |= form_of(account, versions, sent.get("period", ""), str(wrong))
            return self._pages.answer("compare.html", session, HTTPStatus.BAD_REQUEST, **values)
        return self._pages.go_to(f"{_path(account.tenant)}/{self._comparisons.begin(wanted)}")

    async def show(self, request: web.Request, session: Session) -> web.Response:
        """The outcome; while there is none, a page that is asked for again."""
        account = await self._account(request, session)
        comparison = self._comparison(request)
        await comparison.wait(_WAITED_S)
        values = frame(account.tenant, "compare")
        values |= {"account": account, "id": request.match_info["id"], "comparison": comparison, "found": None}
        if not comparison.runs and comparison.problem is None:
            values |= await asyncio.to_thread(_shown, comparison)
        answer = self._pages.answer("compared.html", session, **values)
        if comparison.runs:
            answer.headers["Refresh"] = _AGAIN_S
        return answer

    async def download(self, request: web.Request, session: Session) -> web.Response:
        """Every line, as `rater what-if --format csv` writes it."""
        await self._account(request, session)
        comparison = self._comparison(request)
        if comparison.runs or comparison.problem is not None:
            raise NoSuchThing
        content = await asyncio.to_thread(_csv, comparison)
        return self._pages.answer_file(f"what-if-{comparison.wanted.period}.csv", MEDIA_TYPES["csv"], content)

    async def _account(self, request: web.Request, session: Session) -> Account:
        return (await self._known(request, session))[0]

    async def _known(self, request: web.Request, session: Session) -> tuple[Account, list[str]]:
        """The tenant, and the versions that are offered to who asks."""
        tenant = request.match_info["tenant"]

        def looked(books: Books) -> tuple[Account, list[str]]:
            asked = Asked.of(books, tenant, session, {})
            return asked.account, versions_for(asked)

        return await self._desks.ask(looked)

    def _comparison(self, request: web.Request) -> Comparison:
        found = self._comparisons.of(request.match_info["tenant"], request.match_info["id"])
        if found is None:
            raise NoSuchThing
        return found


def _wanted(account: Account, versions: Sequence[str], sent: Mapping[str, str]) -> Wanted:
    """What is to be compared; WrongQuestion says what was expected."""
    period, version = check_period(account.clock, sent.get("period", "")), sent.get("version", "").strip()
    content = sent.get("deck", "").encode(FILE_ENCODING)
    instead = _instead(sent)
    if (content and version) or not (content or version or instead):
        raise WrongQuestion(
            "deck: expected either a file with a price list or a version that is known; or one licence instead of"
            " another"
        )
    if version and version not in versions:
        raise WrongQuestion("version: expected one that is offered")
    return Wanted(account.tenant, period, content or version, account.currency, instead)


def _instead(sent: Mapping[str, str]) -> tuple[str, str] | None:
    """The licence that users held, and the one that they hold instead; None: none was chosen."""
    old, new = sent.get("old", ""), sent.get("new", "")
    if not old and not new:
        return None
    if old not in SKUS or new not in SKUS or old == new:
        raise WrongQuestion("licence: expected two licences of the catalogue, one instead of the other")
    return old, new


def _path(tenant: str) -> str:
    return f"/tenants/{path_part(tenant)}/compare"


def _shown(comparison: Comparison) -> dict[str, Any]:
    """The tenant's sums, a table for each thing that lines are about, and the bars of the chart."""
    found = comparison.found()
    lines = found.differences()
    by = {group: [line for line in lines if line.by == group] for group in GROUPS}
    tables = {group: _most_different(by[group]) for group in GROUPS if group != "tenant"}
    return {
        "found": found,
        "whole": by["tenant"][0] if by["tenant"] else None,
        "tables": {group: rows[:LINES_MAX] for group, rows in tables.items()},
        "counts": {group: len(rows) for group, rows in tables.items()},
        "bars": _bars(tables["destination"][:BARS_MAX]),
    }


def _most_different(lines: Sequence[Line]) -> list[Line]:
    """The lines that would have been different, the largest differences first."""
    return sorted([line for line in lines if line.differs], key=lambda line: (-abs(line.debits_more), line.name))


def _bars(lines: Sequence[Line]) -> dict[str, list[Any]]:
    """Names, and micro-units as they were and as they would have been."""
    return {
        "names": [line.name for line in lines],
        "was": [line.was.debits for line in lines],
        "would_be": [line.would_be.debits for line in lines],
    }


def _csv(comparison: Comparison) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "what-if.csv")
        write(SHEET, rows_of(comparison.found().differences()), "csv", str(path))
        return path.read_bytes()
