"""What a server computes in processes of their own, for the read API and for the page."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from aiohttp import web

from rater.serve.reading.comparisons import Comparisons
from rater.serve.reading.forecasts import Forecasts
from rater.serve.reading.own_processes import OwnProcesses


class Computing(NamedTuple):
    """Forecasts and comparisons over one store or replica; one process at a time for both."""

    processes: OwnProcesses
    forecasts: Forecasts
    comparisons: Comparisons

    @classmethod
    def over(cls, file: Path, replayed: Sequence[str] | None = None) -> Self:
        """Of a store; or of a replica, with the options that say from where inputs are replayed."""
        processes, path = OwnProcesses(), file.resolve()
        where = ("--store", str(path)) if replayed is None else replayed
        return cls(processes, Forecasts(processes, path), Comparisons(processes, where))

    async def close(self, _: web.Application) -> None:
        """Kill what runs, before the server waits for its requests."""
        await self.processes.close()
