"""`rater token create`: a token with which a person signs in to the page of `rater serve`."""

from pathlib import Path
from typing import Annotated

import typer

from rater.serve.clients import new_token
from rater.serve.web.people import Role, add_token
from rater.wire.visible import visible

DEFAULT_PEOPLE = Path("people.yaml")


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(help="Tokens of people who sign in to the page.", no_args_is_help=True)
    group.callback()(_only_group)
    group.command("create")(create)
    app.add_typer(group, name="token")


def _only_group() -> None:
    """Tokens of people who sign in to the page."""


def create(
    person: Annotated[str, typer.Option(help="Whose it is; the name stands beside all that the person does.")],
    role: Annotated[
        Role, typer.Option(help="viewer sees a tenant, billing moves its money, too, operator does so for all.")
    ],
    tenant: Annotated[str | None, typer.Option(help="The tenant, of a viewer and of billing.")] = None,
    people: Annotated[Path, typer.Option(help="The file that is written: hashes, no token.")] = DEFAULT_PEOPLE,
) -> None:
    """Make a token: it is shown once, on standard output; its hash goes into the file of --people.

    `rater serve --people FILE` reads the file again when it changes. Delete a hash there, and who signed in with
    its token is signed out.

    Example: rater token create --role billing --tenant contoso --person kim
    """
    token, hashed = new_token()
    add_token(people, person, role.value, tenant, hashed)
    typer.echo(token)
    where = f" of {tenant}" if tenant else ""
    typer.echo(visible(f"rater: {person}, {role.value}{where}: its hash is in {people}"), err=True)
