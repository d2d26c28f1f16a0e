"""HTTP endpoints other than health and metrics need the token."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from rater.ops.secrets import SecretSource
from rater.serve.bearer import OPEN_PATHS, Bearer, only_with_token
from rater.wire.errors import RaterError

TOKEN = "f5d3e0b4-a-long-enough-token"


@pytest.fixture
def bearer(tmp_path: Path) -> Bearer:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return Bearer([SecretSource(file=tmp_path / "token")])


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer   {TOKEN} ", True),
        (None, False),
        ("", False),
        ("Bearer", False),
        ("Bearer ", False),
        (TOKEN, False),
        (f"Basic {TOKEN}", False),
        (f"Bearer {TOKEN[:-1]}", False),
        (f"Bearer {TOKEN}x", False),
        (f"Bearer {TOKEN.upper()}", False),
        ("Bearer \udcff\U0001f511", False),
    ],
)
def test_who_is_let_in(bearer: Bearer, header: str | None, allowed: bool) -> None:
    """RFC 6750: the scheme in any case, the token to the letter; whatever else comes is a refusal, not an error."""
    assert bearer.allows(header) is allowed


def test_two_tokens_while_one_replaces_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are good, a third is not."""
    monkeypatch.setenv("OLD", "the old token of this service")
    monkeypatch.setenv("NEW", "the new token of this service")
    bearer = Bearer([SecretSource(env="OLD"), SecretSource(env="NEW")])
    assert [bearer.allows(f"Bearer the {word} token of this service") for word in ("old", "new", "next")] == [True, True, False]  # fmt: skip


def test_an_invalid_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token, or with one that can be guessed, a service does not start; the error does not show it."""
    monkeypatch.setenv("SHORT", "1234")
    with pytest.raises(RaterError, match="expected at least 16 characters") as refused:
        Bearer([SecretSource(env="SHORT")])
    assert "1234" not in str(refused.value)
    with pytest.raises(RaterError, match="MISSING, which is not set"):
        Bearer([SecretSource(env="MISSING")])
    with pytest.raises(RaterError, match="expected at least"):
        Bearer([])


def test_health_and_metrics_are_open_all_else_is_not(bearer: Bearer) -> None:
    """On a real server; a path that nobody serves is refused like one that somebody does."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="yes")

    async def ask() -> dict[tuple[str, bool], tuple[int, str | None]]:
        app = web.Application(middlewares=[only_with_token(bearer)])
        for path in [*OPEN_PATHS, "/v1/authorize"]:
            app.router.add_get(path, answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found = {}
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:
            for path in [*sorted(OPEN_PATHS), "/v1/authorize", "/v1/none", "/livez/"]:
                for token in (True, False):
                    headers = {"Authorization": f"Bearer {TOKEN}"} if token else {}
                    async with session.get(path, headers=headers) as response:
                        found[path, token] = (response.status, response.headers.get("WWW-Authenticate"))
        await runner.cleanup()
        return found

    found = asyncio.run(ask())
    refused = (401, 'Bearer realm="rater"')
    for path in OPEN_PATHS:
        assert found[path, True] == found[path, False] == (200, None)
    assert (found["/v1/authorize", True], found["/v1/authorize", False]) == ((200, None), refused)
    assert [found[path, False] for path in ("/v1/none", "/livez/")] == [refused] * 2
