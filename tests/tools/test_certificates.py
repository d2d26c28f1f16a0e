"""Certificates: when they end."""

import asyncio
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from rater.agents.service import Agents
from rater.agents.settings import AgentsSettings
from rater.core import RatingSettings
from rater.kafka.app import RatingService
from rater.kafka.settings import KafkaSettings, WorkerSettings
from rater.ops.certificates import expires_at
from rater.ops.doctor.check import State
from rater.ops.doctor.outside import certificates
from rater.wire.errors import RaterError
from tests.fuzz.decoders import CERTIFICATE

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl makes the certificates of this test"
)


def made(path: Path, days: int, *options: str) -> Path:
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=rater",
    ]
    subprocess.run(
        [*command, "-days", str(days), "-keyout", "/dev/null", "-out", path, *options],
        check=True,
        capture_output=True,
    )
    return path


@needs_openssl
@pytest.mark.parametrize("days", [1, 30, 3650, 20_000])
def test_the_end_of_a_certificate(tmp_path: Path, days: int) -> None:
    """Until 2049 the time has two digits for the year, from 2050 four (RFC 5280)."""
    path = made(tmp_path / "tls.crt", days)
    said = subprocess.run(
        ["openssl", "x509", "-enddate", "-noout", "-in", path], check=True, capture_output=True, text=True
    ).stdout
    expected = datetime.strptime(said.strip().removeprefix("notAfter="), "%b %d %H:%M:%S %Y GMT").replace(
        tzinfo=UTC
    )
    assert expires_at(path) == expected
    assert abs(expected - datetime.now(UTC) - timedelta(days=days)) < timedelta(minutes=10)


@needs_openssl
def test_the_first_of_a_chain_to_end_counts(tmp_path: Path) -> None:
    """A file may hold several, with text between them."""
    long, short = made(tmp_path / "a", 300), made(tmp_path / "b", 20)
    chain = tmp_path / "chain.crt"
    chain.write_text(f"the authority\n{long.read_text()}\nours\n{short.read_text()}")
    assert expires_at(chain) == expires_at(short)


@needs_openssl
@pytest.mark.parametrize("process", ["worker", "agents"])
def test_a_process_shows_when_its_certificates_end(tmp_path: Path, process: str) -> None:
    """Ours ends in 5 days, so that RaterCertificateExpiring fires, the authority's in 300; none is set: no series."""
    ours, authority = made(tmp_path / "ours.crt", 5), made(tmp_path / "ca.crt", 300)

    def shown(kafka: KafkaSettings) -> dict[str, float]:
        registry = asyncio.run(registry_of(process, kafka))
        families = {family.name: family for family in registry.collect()}
        samples = families["rater_certificate_expiry_timestamp_seconds"].samples
        return {sample.labels["use"]: sample.value for sample in samples}

    ends = {"client": expires_at(ours).timestamp(), "broker_ca": expires_at(authority).timestamp()}
    assert shown(KafkaSettings(ca_file=authority, certificate_file=ours, security="SSL")) == ends
    assert shown(KafkaSettings()) == {}


async def registry_of(process: str, kafka: KafkaSettings) -> CollectorRegistry:
    """The metrics of a process as it starts."""
    if process == "agents":
        return Agents(kafka, AgentsSettings(), RatingSettings()).metrics.registry
    service = RatingService()
    service.made_of = (kafka, WorkerSettings(), RatingSettings())
    await service.on_start()
    assert service.worker is not None
    return service.worker.registry


@needs_openssl
def test_the_doctor_names_every_certificate(tmp_path: Path) -> None:
    """Ours ends in 5 days, the authority's in 300: both are listed, the first to end decides the state and the command."""
    ours, authority = made(tmp_path / "ours.crt", 5), made(tmp_path / "ca.crt", 300)
    check = certificates(KafkaSettings(ca_file=authority, certificate_file=ours, security="SSL"))
    assert (check.state, check.fix) == (State.WARN, f"openssl x509 -noout -dates -in {ours}")
    assert [said.split(" ends ")[0] for said in check.cause.split("; ")] == [str(ours), str(authority)]


def test_the_end_of_a_certificate_that_is_written_down(tmp_path: Path) -> None:
    """The same without openssl; one of a chain that cannot be read is an error."""
    path = tmp_path / "tls.crt"
    path.write_bytes(b"ours:\n" + CERTIFICATE)
    assert expires_at(path) == datetime(2036, 11, 23, 22, 29, 26, tzinfo=UTC)
    path.write_bytes(CERTIFICATE + CERTIFICATE.replace(b"MIIBLD", b"MIIBLE"))
    with pytest.raises(RaterError, match=r"tls\.crt: expected a certificate in PEM form"):
        expires_at(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        CERTIFICATE.decode().replace("MIIBLDCB36ADAgEC", "MIIBLDCB36ADAgEJ"),  # version 10
    ],
)
def test_a_file_without_a_certificate_is_refused(tmp_path: Path, text: str) -> None:
    """One clear error, with the file's name."""
    path = tmp_path / "tls.crt"
    path.write_text(text)
    with pytest.raises(RaterError, match=r"tls\.crt: expected a certificate in PEM form"):
        expires_at(path)
    with pytest.raises(RaterError, match=r"none: cannot be read"):
        expires_at(tmp_path / "none")
