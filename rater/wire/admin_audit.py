"""What people ordered on the page: the record of `admin-audit`, written before the command is applied."""

from datetime import datetime

import msgspec

TOPIC = "admin-audit"


class AdminAudit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who ordered what, when and from where; `id` is that of the command, which says its outcome.

    `person` signed in by `by`: a token, a link, or a provider of OpenID Connect.  `remote` is the address of the
    connection, `session` the id of the session.  `command` is what was sent, as JSON.
    """

    tenant: str
    id: str
    at: datetime
    person: str
    role: str
    by: str
    session: str
    command: msgspec.Raw
    remote: str | None = None
