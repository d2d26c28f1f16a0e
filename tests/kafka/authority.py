"""A certificate authority for one test run, made with openssl: the broker's key, and a certificate for each user."""

import subprocess
from pathlib import Path
from typing import NamedTuple


class Identity(NamedTuple):
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates in a folder; `certificate` is what the others are checked with."""

    def __init__(self, folder: Path, name: str = "Test authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.certificate, self._key = folder / "ca.pem", folder / "ca.key"
        openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
            *("-addext", "basicConstraints=critical,CA:true", "-addext", "keyUsage=critical,keyCertSign"),
            *("-keyout", str(self._key), "-out", str(self.certificate)),
        )

    def sign(self, name: str, extension: str = "extendedKeyUsage=clientAuth") -> Identity:
        """A certificate with this common name."""
        key, request, signed = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(extension)
        openssl(
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            f"/CN={name}",
            "-keyout",
            str(key),
            "-out",
            str(request),
        )
        openssl(
            *("x509", "-req", "-days", "2", "-in", str(request), "-extfile", str(extensions)),
            *("-CA", str(self.certificate), "-CAkey", str(self._key), "-CAcreateserial", "-out", str(signed)),
        )
        return Identity(signed, key)

    def broker(self) -> Path:
        """The broker's key and certificate in one file, as Kafka reads them."""
        certificate, key = self.sign("broker", "subjectAltName=IP:127.0.0.1")
        keystore = self.folder / "broker-keystore.pem"
        keystore.write_text(key.read_text() + certificate.read_text() + self.certificate.read_text())
        return keystore


def openssl(*words: str) -> None:
    ran = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
