"""The mappings that requests may name with `?map=NAME`: those that the operator gave, and no others."""

from collections.abc import Mapping as Table

from rater.files.mappings import Mapping, load
from rater.serve.problems import Kind, ProblemError
from rater.wire.errors import RaterError

MAPPINGS_MAX = 100
#: Mappings that were made ready for a tenant; then they are made anew.
_READY_MAX = 1_000


class Maps:
    """Mappings by name: `NAME=PLACE`, or a place (file or preset), whose name is the mapping's own.

    `of_switches` are places by the name of a switch: a client of this name need not name its mapping.
    """

    def __init__(self, places: list[str], of_switches: Table[str, str] | None = None) -> None:
        """RaterError: a mapping is wrong, or two have the same name."""
        self._of_switches = frozenset(of_switches or {})
        places = [*places, *(f"{name}={place}" for name, place in (of_switches or {}).items())]
        self._mappings: dict[str, Mapping] = {}
        self._ready: dict[tuple[str, str | None], Mapping] = {}
        for given in places[:MAPPINGS_MAX]:
            name, _, place = given.rpartition("=")
            mapping = load(place)
            if (name := name or mapping.name) in self._mappings:
                raise RaterError(f"--map {given}: expected another name than {name}: NAME={place}")
            self._mappings[name] = mapping

    @property
    def names(self) -> list[str]:
        """The names, in order."""
        return sorted(self._mappings)

    def of_client(self, name: str) -> str | None:
        """The name of the mapping of a client that is a switch; None: its records are as ours."""
        return name if name in self._of_switches else None

    def named(self, name: str | None, tenant: str | None) -> Mapping | None:
        """The mapping of a request; ProblemError: there is none of this name, or nobody says whose records are."""
        if name is None:
            return None
        if (mapping := self._mappings.get(name)) is None:
            known = ", ".join(self.names) or "none: give one with --map"
            raise ProblemError(Kind.UNREADABLE, f"map: expected one of {known}; got {name[:40]!r}")
        if (ready := self._ready.get((name, tenant))) is not None:
            return ready
        try:
            ready = mapping.for_tenant(tenant)
        except RaterError as wrong:
            raise ProblemError(
                Kind.UNREADABLE, f"map={name}: {wrong}; ?tenant=NAME, or `tenant` in the clients' file"
            ) from wrong
        if len(self._ready) >= _READY_MAX:
            self._ready.clear()
        self._ready[name, tenant] = ready
        return ready

    def refresh(self) -> list[str]:
        """Read tables again whose files changed; lines about those that cannot be read."""
        return [line for mapping in self._mappings.values() for line in mapping.refresh()]
