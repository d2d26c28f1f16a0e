"""Sign-in by OpenID Connect, with a real provider: oidc-provider of npm, as a process of its own."""

import html
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rater.dev.ports import free_ports
from rater.ops.secrets import SecretSource
from rater.serve.web.people import Grant, Role
from rater.serve.web.provider import BEGIN, DONE, Mapped, Provider, SignInFile
from tests.serve.web.world import Shown, Visitor, admitted
from tests.serve.world import Serving

VERSION = "9.13.3"
SECRET = "a secret of the test, long enough"
HERE = Path(__file__).parent
ROLES = (
    Mapped(claim="groups", value="olga-group", role=Role.OPERATOR),
    Mapped(claim="groups", value="kim-group", role=Role.BILLING, tenant="contoso"),
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the provider's program in it."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not here: they run and fetch oidc-provider")
    folder = tmp_path_factory.mktemp("provider")
    (folder / "package.json").write_text('{"type": "module"}')
    got = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", f"oidc-provider@{VERSION}"],
        cwd=folder, capture_output=True, check=False, timeout=240,
    )  # fmt: skip
    if got.returncode:
        pytest.skip("oidc-provider cannot be fetched: npm install failed")
    shutil.copy(HERE / "provider.mjs", folder)
    return folder


@pytest.fixture(scope="module")
def server(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server whose page knows the provider; both know each other's address."""
    folder = tmp_path_factory.mktemp("page")
    page = admitted(folder).page
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    running = subprocess.Popen(
        ["node", "provider.mjs", address + DONE], cwd=program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert running.stdout is not None
        issuer = running.stdout.readline().decode().strip()
        (folder / "secret").write_text(SECRET)
        settings = SignInFile(
            issuer=issuer,
            client_id="rater",
            client_secret=SecretSource(file=folder / "secret"),
            public_url=address,
            person_claim="name",
            roles=ROLES,
        )
        with Serving(folder, page=page._replace(provider=Provider(settings)), port=port) as opened:
            yield opened
    finally:
        running.kill()
        running.communicate()


def through(visitor: Visitor, name: str) -> Shown:
    """The way of a browser through the provider's forms: who it is, then that it agrees."""
    shown = visitor.get(BEGIN)
    for fields in ({"prompt": "login", "login": name, "password": "x"}, {"prompt": "consent"}):
        (action,) = re.findall(r'<form[^>]*action="([^"]+)"', shown.text)
        shown = visitor.post_to(html.unescape(action), fields)
    return shown


@pytest.mark.parametrize(
    ("name", "path"), [("olga", "/tenants"), ("kim", "/tenants/contoso/credits")], ids=["operator", "billing"]
)
def test_the_provider_signs_in(server: Serving, name: str, path: str) -> None:
    """Claims say role and tenant; the name is that of the directory."""
    visitor = Visitor(f"http://127.0.0.1:{server.port}")
    assert "your organization" in visitor.get("/sign-in").words
    assert f"You are signed in as {name} of the directory" in through(visitor, name).words
    shown = visitor.get("/")
    assert shown.path == path
    assert f"{name} of the directory" in shown.words


def test_who_has_no_role_is_refused(server: Serving) -> None:
    """The provider knows the person, the mapping does not: 403, and no session."""
    visitor = Visitor(f"http://127.0.0.1:{server.port}")
    assert through(visitor, "val").status == 403
    assert visitor.get("/").path == "/sign-in"


@pytest.mark.parametrize(
    "query", ["", "?code=x&state=x", "?error=access_denied&state=x"], ids=["none", "state", "error"]
)
def test_an_answer_that_was_not_asked_for_is_refused(server: Serving, query: str) -> None:
    """Without the cookie of an attempt, and with that of another one."""
    visitor = Visitor(f"http://127.0.0.1:{server.port}")
    assert visitor.get(DONE + query).status == 403
    visitor.get(BEGIN)
    assert visitor.get(DONE + query).status == 403
    assert visitor.get("/").path == "/sign-in"


@pytest.mark.parametrize(
    ("claims", "grant"),
    [
        ({"groups": ["staff", "kim-group"]}, Grant(role=Role.BILLING, tenant="contoso")),
        ({"groups": "olga-group"}, Grant(role=Role.OPERATOR)),
        ({"groups": ["kim-group-2"]}, None),
        ({}, None),
    ],
    ids=["among-values", "one-value", "another", "none"],
)
def test_claims_say_who_may_what(claims: dict[str, Any], grant: Grant | None) -> None:
    """The first mapping that fits; a value fits as a whole."""
    settings = SignInFile(
        issuer="https://login.example", client_id="rater", public_url="https://rater.example", roles=ROLES
    )
    assert settings.grant_of(claims) == grant


@pytest.mark.parametrize(
    "wrong",
    [{"issuer": "http://login.example"}, {"roles": ()}, {"client_id": ""}],
    ids=["plain-http", "no-roles", "no-client"],
)
def test_settings_that_sign_nobody_in_safely_are_refused(wrong: dict[str, Any]) -> None:
    """An issuer without TLS, no mapping, no client."""
    right: dict[str, Any] = {
        "issuer": "https://login.example",
        "client_id": "rater",
        "public_url": "https://rater.example",
        "roles": ROLES,
    }
    assert SignInFile(**right).client_secret is None
    with pytest.raises(ValidationError):
        SignInFile(**(right | wrong))
