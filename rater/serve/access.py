"""Who sent a request, and whether its token may do this."""

from aiohttp import web

from rater.serve.clients import Client, Clients, Right
from rater.serve.problems import Kind, ProblemError


class Access:
    """The check that each page makes before anything else."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients

    def check(self, request: web.Request, right: Right) -> Client:
        """The client whose token the request shows; ProblemError if there is none, or it may not do this."""
        client = self.clients.of(request.headers.get("Authorization"))
        if client is None:
            raise ProblemError(
                Kind.NO_TOKEN,
                "expected the header Authorization: Bearer TOKEN, or Basic with the token as password; `rater"
                " serve-token NAME` makes one",
            )
        if right not in client.may:
            raise ProblemError(
                Kind.NOT_ALLOWED,
                f"{client.name}: expected a token that may do {right}; it may do {', '.join(client.may)} (the"
                " clients' file says so)",
            )
        return client
