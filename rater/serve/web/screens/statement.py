"""Statement: what a tenant had, what moved it, and what is left."""

from typing import Any

from rater.files.statement import statement as made_of
from rater.serve.web.screens.asked import Asked


def statement(asked: Asked) -> dict[str, Any]:
    """What `statement.html` shows."""
    events, debits = (
        [value for _, value in asked.reader.topic(name, asked.tenant)] for name in ("account-events", "debits")
    )
    made = made_of(events, debits, asked.account.balance)
    return {"account": asked.account, "statement": made}
