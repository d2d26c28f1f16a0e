"""What every kind of switch offers: end one call.  And how an order can fail."""

from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple, Protocol, Self

import aiohttp
from aiohttp import hdrs

from rater.agents.switches.settings import SwitchEntry
from rater.core import CallCommand, ClosedList

#: Longer than any answer of these interfaces to one order.
ANSWER_BYTES_MAX = 65_536
_EXCERPT = 120


class Ended(ClosedList):
    """What a switch answered to an order."""

    OBEYED = "obeyed"  # it ends the call
    GONE = "gone"  # it has no such call any more


class Disobeyed(Exception):
    """The switch did not end the call, or did not answer; the order may be given again."""


class Impossible(Exception):
    """The order lacks what this switch ends a call by; giving it again changes nothing."""


class Carrier(Protocol):
    """A way to one switch, open within `async with`."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    async def end(self, order: CallCommand) -> Ended:
        """Order the end of a call; raises Disobeyed or Impossible."""

    async def look(self) -> str:
        """Ask something that changes nothing, for people; raises Disobeyed where the switch cannot be used."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    text: str

    @property
    def shown(self) -> str:
        """For people, in one line."""
        text = " ".join(self.text.split())
        return f"it answered {self.status}" + (f": {text:.{_EXCERPT}}" if text else "")


class HttpLine:
    """A session with a switch that speaks HTTP."""

    def __init__(self, entry: SwitchEntry) -> None:
        """RaterError: its secret is not there."""
        self.entry = entry
        self.secret = entry.read_secret()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=self.entry.timeout_s)
        headers: dict[str, str] = {}
        if self.entry.user is not None and self.secret is not None:
            headers[hdrs.AUTHORIZATION] = aiohttp.encode_basic_auth(self.entry.user, self.secret)
        self._session = aiohttp.ClientSession(timeout=timeout, headers=headers, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request; raises Disobeyed where nothing that can be read comes back in time."""
        assert self._session is not None, "used outside of `async with`"
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False
            ) as response:
                raw = bytearray()
                async for chunk in response.content.iter_any():
                    raw += chunk
                    if len(raw) > ANSWER_BYTES_MAX:
                        raise Disobeyed(f"{url}: expected an answer of at most {ANSWER_BYTES_MAX} bytes, got more")
                return Answer(response.status, raw.decode(errors="replace"))
        except TimeoutError:
            raise Disobeyed(f"{url}: no answer within {self.entry.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as wrong:
            raise Disobeyed(f"{url}: {type(wrong).__name__}: {wrong}") from wrong
