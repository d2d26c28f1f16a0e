"""What lies outside Kafka: settings, certificates, the payment gateway, the mail server, the HTTP server."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import aiohttp

from rater.agents.notices.channel import Unreachable
from rater.agents.notices.settings import NotifySettings
from rater.agents.notices.smtp import EmailChannel
from rater.agents.notices.texts import Texts
from rater.agents.payments.settings import GatewaySettings
from rater.kafka.settings import KafkaSettings
from rater.ops.certificates import expires_at
from rater.ops.configuration import wrong_in
from rater.ops.doctor.check import Check, State, why_silent

#: As the alert RaterCertificateExpiring has it.
CERTIFICATE_WARN = timedelta(days=14)
_TIMEOUT_S = 10
_SHOWN = 200


def settings(path: Path | None, environment: Mapping[str, str]) -> Check:
    """Whether everything that is set can be used."""
    wrong = wrong_in(path, environment)
    command = f"rater config check {path}" if path else "rater config check"
    if wrong:
        return Check("settings", State.FAIL, "; ".join(wrong), command)
    return Check("settings", State.OK, "every value that is set can be used")


def certificates(kafka: KafkaSettings) -> Check:
    """Whether the certificates that we use go on for a while."""
    files = [path for path in (kafka.ca_file, kafka.certificate_file) if path is not None]
    if not files:
        return Check("certificates", State.SKIPPED, "none is set")
    ends = sorted((expires_at(path), path) for path in files)
    first, path = ends[0]
    left = first - datetime.now(UTC)
    said = "; ".join(f"{path} ends {end.isoformat()}" for end, path in ends)
    if left < timedelta(0):
        return Check("certificates", State.FAIL, said, f"openssl x509 -noout -dates -in {path}")
    if left < CERTIFICATE_WARN:
        return Check("certificates", State.WARN, said, f"openssl x509 -noout -dates -in {path}")
    return Check("certificates", State.OK, said)


@asynccontextmanager
async def answer_of(url: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """What a page answers, soon; TimeoutError, aiohttp.ClientError."""
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        yield answer


async def gateway(given: GatewaySettings | None) -> Check:
    """Whether something answers where the payment gateway is; no payment is asked for."""
    if given is None:
        return Check("gateway", State.SKIPPED, "none is set (RATER_GATEWAY_URL, or gateway.url in --config)")
    try:
        async with answer_of(given.url) as answer:
            status = answer.status
    except (TimeoutError, aiohttp.ClientError) as wrong:
        return Check("gateway", State.FAIL, f"{given.url}: {why_silent(wrong)}", f"curl -v {given.url}")
    if status >= 500:
        return Check("gateway", State.WARN, f"{given.url} answers {status}", f"curl -v {given.url}")
    return Check("gateway", State.OK, f"{given.url} answers")


async def server(url: str | None) -> Check:
    """Whether an HTTP server (`rater serve`) is ready."""
    if url is None:
        return Check("server", State.SKIPPED, "none is named (--server http://host:6080)")
    try:
        async with answer_of(f"{url.rstrip('/')}/readyz") as answer:
            status, text = answer.status, (await answer.text())[:_SHOWN].strip()
    except (TimeoutError, aiohttp.ClientError) as wrong:
        return Check("server", State.FAIL, f"{url}: {why_silent(wrong)}", "rater serve")
    if status != HTTPStatus.OK:
        return Check("server", State.FAIL, f"{url} answers {status}: {text}", f"curl -v {url}/readyz")
    return Check("server", State.OK, f"{url} is ready")


async def smtp(notify: NotifySettings | None) -> Check:
    """Whether the mail server accepts our login; no mail is sent."""
    if notify is None or notify.email is None:
        return Check("smtp", State.SKIPPED, "none is set (notify.email in --config)")
    email = notify.email
    where = f"{email.host}:{email.port}"
    try:
        async with EmailChannel(email, Texts(notify.templates), lambda: datetime.now(UTC)).connected():
            return Check("smtp", State.OK, f"{where} answers ({email.security})")
    except Unreachable as wrong:
        tls = "" if email.security == "tls" else " -starttls smtp"
        return Check("smtp", State.FAIL, str(wrong), f"openssl s_client -connect {where}{tls}")
