"""Which switch has a call: the one that its events name, else the one that its tenant's calls are on."""

from collections.abc import Sequence

from rater.agents.switches.settings import EVERYBODY, SwitchEntry
from rater.core import CallCommand
from rater.wire.words import did_you_mean


class NoSwitch(Exception):
    """It is not certain which switch has the call, so none is given the order."""


class Switches:
    """The switches of a file."""

    def __init__(self, entries: Sequence[SwitchEntry]) -> None:
        self._by_name = {entry.name: entry for entry in entries}
        self._by_tenant: dict[str, list[SwitchEntry]] = {}
        for entry in entries:
            for tenant in entry.tenants:
                self._by_tenant.setdefault(tenant, []).append(entry)

    def of(self, order: CallCommand) -> SwitchEntry | None:
        """The switch of a call; None where no switch of the file has the tenant's calls: others read the order.

        Raises NoSwitch for a name that the file lacks, and where several switches have the tenant's calls.
        """
        if order.switch is not None:
            if (named := self._by_name.get(order.switch)) is None:
                raise NoSwitch(
                    f"the call's events name the switch {order.switch}, expected one of"
                    f" {', '.join(self._by_name)}{did_you_mean(order.switch, self._by_name)}"
                )
            return named
        found = self._by_tenant.get(order.tenant) or self._by_tenant.get(EVERYBODY) or []
        if len(found) > 1:
            raise NoSwitch(
                f"{', '.join(entry.name for entry in found)} have calls of {order.tenant}, and no event of this"
                " call names its switch: set `switch` in the call's events"
            )
        return found[0] if found else None
