"""Who may come in, by what, and for how long."""

import stat
from pathlib import Path

import pytest
import yaml

from rater.serve.clients import new_token
from rater.serve.web.people import Grant, Role, add_token, read_people
from rater.serve.web.rendering import SECURITY_HEADERS
from rater.serve.web.sessions import Seal, Session, key_of
from rater.serve.web.signing_in import link_path
from rater.wire.errors import RaterError
from tests.serve.web.conftest import Open
from tests.serve.web.world import Visitor, admitted
from tests.serve.world import NOON, Serving


def test_who_is_not_signed_in_sees_the_form(opened: Open) -> None:
    """Every path of the page leads to the sign-in, and shows nothing of any tenant."""
    for path in ("/", "/tenants", "/tenants/contoso/credits", "/tenants/nobody/credits", "/tenants/x/y/z"):
        shown = opened.visitor().get(path)
        assert (shown.status, shown.path) == (200, "/sign-in")
        assert "contoso" not in shown.text


@pytest.mark.parametrize(
    ("name", "path"),
    [("olga", "/tenants"), ("kim", "/tenants/contoso/credits"), ("val", "/tenants/contoso/credits")],
    ids=["operator", "billing", "viewer"],
)
def test_a_token_signs_in(opened: Open, name: str, path: str) -> None:
    """An operator sees all tenants first, everybody else the credits of the own one."""
    visitor = opened.visitor()
    shown = visitor.sign_in(opened.admitted.tokens[name])
    assert (shown.status, shown.path) == (200, path)
    assert f"{name}, " in shown.words


@pytest.mark.parametrize("token", ["", "x", "\u202e" * 1000], ids=["none", "unknown", "hostile"])
def test_another_token_does_not(opened: Open, token: str) -> None:
    """403, and the form again."""
    shown = opened.visitor().sign_in(token)
    assert shown.status == 403
    assert "This token is not known" in shown.words


def test_a_link_signs_in_once(opened: Open) -> None:
    """Opening it changes nothing; pressing the button uses it; a second person is refused."""
    path = link_path(opened.admitted.page.links.add("guest", Grant(role=Role.VIEWER, tenant="contoso")))
    first, second = opened.visitor(), opened.visitor()
    forms = [visitor.get(path).form("/sign-in") for visitor in (first, second)]
    assert first.post("/sign-in", forms[0]).path == "/tenants/contoso/credits"
    assert second.post("/sign-in", forms[1]).status == 403
    assert "used before" in second.get(path).words


def test_signing_out_ends_the_session(opened: Open) -> None:
    """The cookie is deleted, and a copy of it counts no more."""
    visitor = opened.visitor("kim")
    (cookie,) = [cookie for cookie in visitor.cookies if cookie.name == "rater-session"]
    form = visitor.get("/tenants/contoso/credits").form("/sign-out")
    assert visitor.post("/sign-out", form).path == "/sign-in"
    thief = opened.visitor()
    assert thief.get("/tenants/contoso/credits", Cookie=f"{cookie.name}={cookie.value}").path == "/sign-in"


def test_a_session_ends_with_its_token(tmp_path: Path) -> None:
    """A hash that is deleted from the file signs out who signed in with its token; others stay."""
    page = admitted(tmp_path)
    with Serving(tmp_path, page=page.page) as server:
        kim, val = (Visitor(f"http://127.0.0.1:{server.port}") for _ in range(2))
        assert kim.sign_in(page.tokens["kim"]).path == "/tenants/contoso/credits"
        assert val.sign_in(page.tokens["val"]).path == "/tenants/contoso/credits"
        written = yaml.safe_load(page.file.read_text())
        written["people"] = [person for person in written["people"] if person["name"] != "kim"]
        page.file.write_text(yaml.safe_dump(written))
        assert kim.get("/tenants/contoso/credits").path == "/sign-in"
        assert val.get("/tenants/contoso/credits").path == "/tenants/contoso/credits"


def test_a_cookie_is_read_by_nobody_else(opened: Open) -> None:
    """Http-only, same site alone, for eight hours, without a name or a tenant in it that can be read."""
    visitor = opened.visitor("kim")
    (cookie,) = [cookie for cookie in visitor.cookies if cookie.name == "rater-session"]
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "Strict"
    assert "contoso" not in (cookie.value or "")


def test_a_session_that_another_key_sealed_counts_for_nothing(tmp_path: Path) -> None:
    """Nor one that is older than its hours, nor what was sealed as something else."""
    session = Session(person="kim", role=Role.BILLING, tenant="contoso", by="link", began=NOON)
    seal, other = Seal(key_of(tmp_path / "a")), Seal(key_of(tmp_path / "b"))
    sealed = seal.seal(session)
    assert seal.open(sealed, Session, 60) == session
    assert other.open(sealed, Session, 60) is None
    assert seal.open(sealed, Session, -1) is None
    assert seal.open(sealed[:-2] + "xx", Session, 60) is None


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    """It is made with mode 0600; one that others may read is refused."""
    key = tmp_path / "page.key"
    assert key_of(key) == key_of(key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o644)
    with pytest.raises(RaterError, match="chmod 600"):
        key_of(key)


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://elsewhere.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}],
    ids=["origin", "no-origin", "fetch-site"],
)
def test_a_form_of_another_site_is_refused(opened: Open, headers: dict[str, str]) -> None:
    """403, even where it brings the key; and the session goes on."""
    visitor = opened.visitor("kim")
    form = visitor.get("/tenants/contoso/credits").form("/sign-out")
    assert visitor.post("/sign-out", form, **headers).status == 403
    assert visitor.get("/tenants/contoso/credits").status == 200


@pytest.mark.parametrize("form", [{}, {"form_key": "x"}], ids=["no-key", "wrong-key"])
def test_a_form_without_its_key_is_refused(opened: Open, form: dict[str, str]) -> None:
    """To sign in and to sign out."""
    assert opened.visitor("kim").post("/sign-out", form).status == 403
    assert opened.visitor().post("/sign-in", form | {"token": opened.admitted.tokens["kim"]}).status == 403


def test_every_answer_has_the_headers(opened: Open) -> None:
    """No script or style but files of the server, whatever the answer is."""
    visitor = opened.visitor("olga")
    for path in (
        "/tenants",
        "/tenants/contoso/credits",
        "/tenants/none/credits",
        "/static/page.css",
        "/static/none",
    ):
        shown = visitor.get(path)
        assert {name: shown.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
        assert not any(word in shown.text for word in ("<style", "style=", "onclick", "javascript:"))


@pytest.mark.parametrize(
    ("name", "role", "tenant", "wrong"),
    [
        ("new", "operator", "contoso", "expected a tenant for viewer and billing, and none for operator"),
        ("new", "viewer", None, "expected a tenant for viewer and billing, and none for operator"),
        ("new", "billing", "*", "expected a tenant, got '\\*'"),
        ("kim", "billing", "fabrikam", "kim is billing of contoso there"),
    ],
    ids=["operator-of-one", "viewer-of-none", "reserved", "another-tenant"],
)
def test_a_token_that_does_not_fit_is_refused(
    tmp_path: Path, name: str, role: str, tenant: str | None, wrong: str
) -> None:
    """And the file stays as it was."""
    file = admitted(tmp_path).file
    before = file.read_text()
    with pytest.raises(RaterError, match=wrong):
        add_token(file, name, role, tenant, new_token()[1])
    assert file.read_text() == before


def test_a_person_may_have_two_tokens(tmp_path: Path) -> None:
    """One replaces the other; the file has hashes alone."""
    made = admitted(tmp_path)
    token, hashed = new_token()
    add_token(made.file, "kim", "billing", "contoso", hashed)
    (kim,) = [person for person in read_people(made.file).people if person.name == "kim"]
    assert len(kim.tokens) == 1 + 1
    assert token not in made.file.read_text()
