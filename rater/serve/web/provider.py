"""Sign-in by a provider of OpenID Connect: authorization code with PKCE, state and nonce.

Claims of the ID token give a person a role for a tenant; the settings map them:

issuer: https://login.example
client_id: rater
client_secret: {file: /run/secrets/rater-sign-in}   # none: a public client
public_url: https://rater.example                   # where people reach the page
person_claim: email
roles:
  - {claim: groups, value: rater-operators, role: operator}
  - {claim: groups, value: contoso-billing, role: billing, tenant: contoso}
"""

import hmac
import secrets
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus, urlencode

import aiohttp
import msgspec
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import Field, field_validator

from rater.ops.secrets import SecretSource
from rater.ops.written_settings import WrittenSettings
from rater.serve.web.people import Grant
from rater.serve.web.sessions import Session

BEGIN, DONE = "/sign-in/provider", "/sign-in/provider/done"
#: From the redirection to the provider until it sends the person back.
ATTEMPT_S = 600
#: Signatures that are accepted: by a key pair alone.
ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
_ANSWER_WITHIN = aiohttp.ClientTimeout(total=15)
_CLOCK_LEEWAY_S = 60
ROLES_MAX = 1_000


class Mapped(Grant):
    """A role for whoever has this value in a claim, or among the values of one."""

    claim: str = Field(min_length=1)
    value: str = Field(min_length=1)


class SignInFile(WrittenSettings):
    """The provider and the mapping of its claims; the first mapping that fits counts."""

    issuer: str
    client_id: str = Field(min_length=1)
    client_secret: SecretSource | None = None
    public_url: str
    scope: str = "openid profile email"
    person_claim: str = "sub"
    roles: tuple[Mapped, ...] = Field(min_length=1, max_length=ROLES_MAX)

    @field_validator("issuer", "public_url")
    @classmethod
    def _is_address(cls, text: str) -> str:
        if not text.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            raise ValueError(f"expected an address that begins with https://, got {text!r}")
        return text.rstrip("/") if text.count("/") == 3 else text

    def grant_of(self, claims: Mapping[str, Any]) -> Grant | None:
        """What a person with these claims may see and do; None: nothing."""
        for mapped in self.roles:
            found = claims.get(mapped.claim)
            if mapped.value in (found if isinstance(found, list) else [found]):
                return Grant(role=mapped.role, tenant=mapped.tenant)
        return None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in that was begun: what must come back, and what proves that it was begun here."""

    state: str
    nonce: str
    verifier: str


class SignInRefused(Exception):
    """The provider, or its answer, signs nobody in; the message is for the log."""


class Provider:
    """A provider of OpenID Connect; `secret` is None for a public client."""

    def __init__(self, settings: SignInFile) -> None:
        """RaterError: the secret cannot be read."""
        self._settings = settings
        secret = settings.client_secret
        self._secret = secret.read("the secret of the sign-in") if secret is not None else None

    async def begin(self) -> tuple[str, Attempt]:
        """Where the person's browser goes, and what to keep of it; SignInRefused: the provider does not answer."""
        attempt = Attempt(
            state=secrets.token_urlsafe(24), nonce=secrets.token_urlsafe(24), verifier=secrets.token_urlsafe(48)
        )
        async with aiohttp.ClientSession(timeout=_ANSWER_WITHIN) as web:
            known = await self._discover(web)
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._done,
            "scope": self._settings.scope,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": create_s256_code_challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
        sign = "&" if "?" in known["authorization_endpoint"] else "?"
        return f"{known['authorization_endpoint']}{sign}{urlencode(query)}", attempt

    async def finish(self, query: Mapping[str, str], attempt: Attempt) -> Session:
        """The session of who came back; SignInRefused: another attempt, a wrong token, or no role."""
        if not hmac.compare_digest(query.get("state", "").encode(), attempt.state.encode()):
            raise SignInRefused("the state is not that of the attempt")
        if query.get("iss", self._settings.issuer) != self._settings.issuer:
            raise SignInRefused("another issuer answered")
        if "code" not in query:
            raise SignInRefused(f"the provider says {query.get('error', 'nothing')}")
        async with aiohttp.ClientSession(timeout=_ANSWER_WITHIN) as web:
            known = await self._discover(web)
            tokens = await self._exchange(web, known["token_endpoint"], query["code"], attempt.verifier)
            keys = await _json(await web.get(known["jwks_uri"], allow_redirects=False))
        claims = self._checked(tokens, keys, attempt.nonce)
        grant, person = self._settings.grant_of(claims), claims.get(self._settings.person_claim)
        if grant is None or not isinstance(person, str) or not person:
            raise SignInRefused(f"no role, or no {self._settings.person_claim}, for {claims.get('sub')}")
        began = datetime.now(UTC)
        return Session(person=person, role=grant.role, tenant=grant.tenant, by="provider", began=began)

    @property
    def _done(self) -> str:
        return f"{self._settings.public_url}{DONE}"

    async def _discover(self, web: aiohttp.ClientSession) -> dict[str, str]:
        """What the provider says of itself; it must call itself what the settings call it."""
        address = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            known = await _json(await web.get(address, allow_redirects=False))
        except (aiohttp.ClientError, TimeoutError) as wrong:
            raise SignInRefused(f"the provider does not answer: {wrong}") from wrong
        needed = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
        if any(not isinstance(known.get(name), str) for name in needed) or known["issuer"] != self._settings.issuer:
            raise SignInRefused(f"expected the issuer {self._settings.issuer} at {address}")
        return {name: known[name] for name in needed}

    async def _exchange(self, web: aiohttp.ClientSession, address: str, code: str, verifier: str) -> dict[str, Any]:
        """The tokens for a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._done,
            "code_verifier": verifier,
        }
        headers = {}
        if self._secret is None:
            form["client_id"] = self._settings.client_id
        else:
            headers["Authorization"] = _basic(self._settings.client_id, self._secret)
        try:
            return await _json(await web.post(address, data=form, headers=headers, allow_redirects=False))
        except (aiohttp.ClientError, TimeoutError) as wrong:
            raise SignInRefused(f"the provider does not answer: {wrong}") from wrong

    def _checked(self, tokens: Mapping[str, Any], keys: dict[str, Any], nonce: str) -> Mapping[str, Any]:
        """The claims of an ID token whose signature, issuer, audience, time and nonce are right."""
        text = tokens.get("id_token")
        if not isinstance(text, str):
            raise SignInRefused("the provider gave no ID token")
        try:
            token = jwt.decode(text, KeySet.import_key_set(keys), algorithms=list(ALGORITHMS))  # type: ignore[arg-type]  # a dict of JSON
            claims = CodeIDToken(
                token.claims,
                token.header,
                {
                    "iss": {"essential": True, "value": self._settings.issuer},
                    "aud": {"essential": True, "value": self._settings.client_id},
                },
                {
                    "nonce": nonce,
                    "client_id": self._settings.client_id,
                    "access_token": tokens.get("access_token"),
                },
            )
            claims.validate(leeway=_CLOCK_LEEWAY_S)
        except (JoseError, ValueError) as wrong:
            raise SignInRefused(f"the ID token is not accepted: {wrong}") from wrong
        return token.claims


def _basic(id: str, secret: str) -> str:
    """A client's id and secret as RFC 6749 writes them: encoded as in a form, then in base64."""
    return "Basic " + b64encode(f"{quote_plus(id)}:{quote_plus(secret)}".encode()).decode()


async def _json(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """The object of an answer."""
    if answer.status != 200:
        raise SignInRefused(f"{answer.url.with_query(None)}: status {answer.status}")
    try:
        found = msgspec.json.decode(await answer.content.read(1_000_000))
    except msgspec.DecodeError as wrong:
        raise SignInRefused(f"{answer.url.with_query(None)}: expected JSON") from wrong
    if not isinstance(found, dict):
        raise SignInRefused(f"{answer.url.with_query(None)}: expected an object")
    return found
