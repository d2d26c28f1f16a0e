"""The options of `rater dlq`."""

from pathlib import Path
from typing import Annotated

import typer

from rater.cli.run import DEFAULT_STORE

Ids = Annotated[list[str] | None, typer.Argument(help="Ids of letters, or their beginnings.", metavar="ID...")]
Tenant = Annotated[str | None, typer.Option(help="Only this tenant's.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Only those refused for this reason.")]
Since = Annotated[str | None, typer.Option(help="Only those refused from then on (RFC 3339); on Kafka.")]
Wait = Annotated[float, typer.Option(min=0, max=86_400, help="Seconds to wait for the outcome; on Kafka.")]
Limit = Annotated[int | None, typer.Option(min=1, max=1_000_000, help="At most so many, the oldest first.")]
Store = Annotated[Path | None, typer.Option(help=f"The store ({DEFAULT_STORE}), if no broker is given.")]
Bootstrap = Annotated[
    str | None, typer.Option(envvar="RATER_BOOTSTRAP", help="Addresses of brokers: the letters are on Kafka.")
]
Accept = Annotated[
    bool, typer.Option("--accept", help="Let held records through (implausible_duration): they are billed.")
]
AcceptAt = Annotated[
    str | None,
    typer.Option(
        help="When they are let through (RFC 3339), with --accept: time passes for their tenants up to then,"
        " and money expires.  Else: on Kafka now; in a store its tenant's own time, so that none passes."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print what would be done.")]
By = Annotated[str | None, typer.Option(envvar="RATER_OPERATOR", help="Who does it, for the audit.")]
Reveal = Annotated[
    bool, typer.Option("--reveal", help="Show phone numbers and users' addresses whole; they are masked otherwise.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
