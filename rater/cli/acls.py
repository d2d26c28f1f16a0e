"""`rater acls`: the least that each service may do on Kafka."""

from typing import Annotated

import orjson
import typer

from rater.cli.kafka_options import Prefix
from rater.ops.doctor.rights import service_named
from rater.ops.manifests.acls import Grant, commands, grants, of_service
from rater.ops.manifests.generated import yaml_text
from rater.ops.manifests.services import SERVICES
from rater.ops.manifests.strimzi import kafka_users
from rater.wire.topics import load_topics


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("acls")(acls)


def acls(
    service: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(service.name for service in SERVICES)}; all if not given."),
    ] = None,
    strimzi: Annotated[bool, typer.Option("--strimzi", help="KafkaUser resources in YAML.")] = False,
    mtls: Annotated[
        bool, typer.Option("--mtls", help="Users are known by certificates, not by SCRAM names.")
    ] = False,
    prefix: Prefix = "",
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Print the access rights of each service: kafka-acls.sh commands, or --strimzi, or --json.

    Example: rater acls --service worker | BOOTSTRAP=kafka:9092 ADMIN_CONFIG=admin.properties sh
    """
    granted = grants(load_topics(), prefix)
    if service is not None:
        granted = of_service(granted, service_named(service))
    if json:
        typer.echo(orjson.dumps([_row(grant) for grant in granted]))
    elif strimzi:
        typer.echo(yaml_text(kafka_users(granted, "tls" if mtls else "scram-sha-512")), nl=False)
    else:
        typer.echo(commands(granted, certificate_names=mtls), nl=False)


def _row(grant: Grant) -> dict[str, object]:
    return {
        "service": grant.service.name,
        "user": grant.service.user,
        "resource": grant.resource.value,
        "name": grant.name,
        "prefixed": grant.prefixed,
        "operations": list(grant.operations),
    }
