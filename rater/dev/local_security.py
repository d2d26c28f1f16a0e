"""What makes a local Kafka a guarded one: TLS with passwords (SCRAM) on one listener, with certificates on another.

The listener without encryption stays for the brokers themselves and for whoever sets the cluster up: who comes
that way may do everything.  Everybody else may do what an access rule says.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

SCRAM_MECHANISM = "SCRAM-SHA-512"
#: Names of the listeners.
SCRAM, MTLS = "SCRAM", "MTLS"


class Guard(msgspec.Struct, frozen=True):
    """Files in PEM form and SCRAM users.

    `keystore` holds the broker's key (PKCS 8) and certificate, `authority` what clients' certificates are checked
    with.  `passwords` are written into the cluster when it is set up, by user.
    """

    keystore: Path
    authority: Path
    passwords: Mapping[str, str] = {}

    def properties(self) -> dict[str, object]:
        """The broker's settings for both listeners, and the authorizer."""
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.keystore.absolute(),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.authority.absolute(),
            f"listener.name.{MTLS.lower()}.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": SCRAM_MECHANISM,
            f"listener.name.{SCRAM.lower()}.{SCRAM_MECHANISM.lower()}.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }

    def users(self) -> list[str]:
        """Arguments of the storage tool that make the users."""
        return [
            argument
            for user, password in self.passwords.items()
            for argument in ("--add-scram", f"{SCRAM_MECHANISM}=[name={user},password={password}]")
        ]
