"""The options by which every command finds the cluster."""

from typing import Annotated

import typer

from rater.kafka.settings import DEFAULT_BOOTSTRAP, KafkaSettings, from_environment

Bootstrap = Annotated[str, typer.Option(envvar="RATER_BOOTSTRAP", help="Addresses of brokers, host:port,...")]
Prefix = Annotated[str, typer.Option(envvar="RATER_PREFIX", help="Stands before every topic's name.")]


def kafka_settings(bootstrap: str = DEFAULT_BOOTSTRAP, prefix: str = "") -> KafkaSettings:
    """Settings from the environment (RATER_SECURITY, RATER_USERNAME, RATER_PASSWORD_FILE, ...) and the options."""
    settings: KafkaSettings = from_environment(KafkaSettings)
    return settings.model_copy(update={"bootstrap": bootstrap, "prefix": prefix})
