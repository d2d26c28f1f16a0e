"""Users who hold another licence instead of one that they held, for one month: the commands that say so."""

from collections.abc import Iterator

import msgspec

from rater.core import (
    AnyCommand,
    LicenseAssigned,
    LicenseRemoved,
    State,
    User,
    code_of,
    digest,
    name_key,
)
from rater.engine.substitutes import Exchange, Substitutes
from rater.wire.errors import RaterError


class ExchangedLicences:
    """The users of a tenant of whom an exchange is about, and of whom it found what it takes away."""

    def __init__(self, exchange: Exchange, substitutes: Substitutes) -> None:
        self._exchange, self._substitutes = exchange, substitutes
        self._users = {name_key(user): user for user in exchange.users}
        self._found: set[str] = set()

    def at_first(self, state: State, tenant: str) -> Iterator[AnyCommand]:
        """What makes the exchange when the month begins: for as long as each held the licence."""
        for key, name in self._users.items():
            user = state.user_meant_by(tenant, name)
            if user is not None and (held := list(self._held(user, tenant))):
                self._found.add(key)
                yield from held

    def rewritten(self, command: AnyCommand) -> AnyCommand:
        """A command of the month that is about the licence: about the other one instead."""
        if not isinstance(command, LicenseAssigned | LicenseRemoved):
            return command
        if self._exchange.named and name_key(command.user) not in self._users:
            return command
        if code_of(command.sku) != self._exchange.old:
            return command
        self._found.add(name_key(command.user))
        return msgspec.structs.replace(command, sku=self._exchange.new)

    def missed(self) -> Iterator[tuple[AnyCommand, str]]:
        """The users whom a person named, and who did not hold the licence in the month; RaterError: nobody did."""
        tenant, old, period = self._substitutes.tenant or "", self._exchange.old, self._substitutes.period
        if not self._found:
            who = "a user of the file" if self._exchange.named else "a user"
            raise RaterError(
                f"--instead: expected a licence that {who} of {tenant} held in {period}, got {old}, which none did"
            )
        for key, name in self._users.items():
            if self._exchange.named and key not in self._found:
                command = LicenseRemoved(tenant=tenant, id=name, at=self._substitutes.since, user=name, sku=old)
                yield command, f"the user did not hold {old} in {period}"

    def _held(self, user: User, tenant: str) -> Iterator[AnyCommand]:
        """Taken away from the month's beginning on; for each time of it or later in which it was held the other."""
        begins, exchange = self._substitutes.since, self._exchange
        stretches = [*zip(user.timeline, [*(one.since for one in user.timeline[1:]), None], strict=True)]
        held = [
            (max(one.since or begins, begins), until)
            for one, until in stretches
            if exchange.old in map(code_of, one.skus) and (until is None or until > begins)
        ]
        if not held:
            return
        yield LicenseRemoved(
            tenant=tenant,
            id=_id(user, "removed"),
            at=begins,
            user=user.user,
            sku=exchange.old,
            effective_from=begins,
        )
        for number, (since, until) in enumerate(held):
            yield LicenseAssigned(
                tenant=tenant,
                id=_id(user, str(number)),
                at=begins,
                user=user.user,
                sku=exchange.new,
                effective_from=since,
                effective_to=until,
            )


def _id(user: User, what: str) -> str:
    return digest("what-if", "instead", user.user, what)
