"""A guarded cluster with its users, and `rater` run as one of them, by password or by certificate."""

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rater.dev.local_kafka import LocalKafka
from rater.dev.local_security import Guard
from rater.kafka.settings import KafkaSettings
from rater.ops.manifests.services import SERVICES
from tests.commands import rater
from tests.kafka.authority import Authority
from tests.kafka.rules import apply_rules

Ran = subprocess.CompletedProcess[str]
USERS = [service.user for service in SERVICES]


class Guarded:
    """A cluster on which every service has a password and a certificate, and no rights yet."""

    def __init__(self, folder: Path, make: Callable[[Path, Guard], LocalKafka]) -> None:
        self.folder = folder
        self.authority = Authority(folder / "authority")
        self.identities = {user: self.authority.sign(user) for user in USERS}
        for user in USERS:
            (folder / f"{user}.password").write_text(f"secret of {user}\n")
        passwords = {user: f"secret of {user}" for user in USERS}
        self.kafka = make(folder / "kafka", Guard(self.authority.broker(), self.authority.certificate, passwords))
        self.kafka.start()

    def allow(self, prefix: str, how: str) -> None:
        """Grant what `rater acls` prints for a deployment."""
        words = ["acls", f"--prefix={prefix}", *(["--mtls"] if how == "mtls" else [])]
        printed = rater(*words, code=0)
        asyncio.run(apply_rules(self.kafka.bootstrap, printed.stdout))

    def environment(self, how: str, user: str) -> dict[str, str]:
        """What a service is given in its environment."""
        identity = self.identities[user]
        return {"RATER_CA_FILE": str(self.authority.certificate)} | (
            {
                "RATER_SECURITY": "SASL_SSL",
                "RATER_BOOTSTRAP": self.kafka.scram_bootstrap,
                "RATER_USERNAME": user,
                "RATER_PASSWORD_FILE": str(self.folder / f"{user}.password"),
            }
            if how == "scram"
            else {
                "RATER_SECURITY": "SSL",
                "RATER_BOOTSTRAP": self.kafka.mtls_bootstrap,
                "RATER_CERTIFICATE_FILE": str(identity.certificate),
                "RATER_KEY_FILE": str(identity.key),
            }
        )

    def settings(self, how: str, user: str, prefix: str) -> KafkaSettings:
        """The same for code."""
        given: dict[str, Any] = {
            name.removeprefix("RATER_").lower(): value for name, value in self.environment(how, user).items()
        }
        return KafkaSettings(prefix=prefix, **given)

    def run(self, how: str, user: str, *words: str, prefix: str = "") -> Ran:
        """`rater ...` as a user."""
        return rater(*words, environment=self.environment(how, user) | {"RATER_PREFIX": prefix})
