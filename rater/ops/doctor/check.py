"""One thing that was looked at, and how looking is cut short."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import msgspec

from rater.core import ClosedList
from rater.kafka.access_errors import DeniedError
from rater.kafka.port import Doubt
from rater.wire.errors import RaterError

#: Longer than any question takes on a cluster that works.
LOOK_TIMEOUT_S = 30.0


class State(ClosedList):
    """The state of a part."""

    OK = "ok"
    WARN = "warn"  # it works; a person should look at it in daylight
    FAIL = "fail"  # something does not work
    SKIPPED = "skipped"  # nobody asked for it, or it cannot be seen from here


class Check(msgspec.Struct, frozen=True):
    """What was looked at, its state and why; `fix` is a command to type, or what to change."""

    name: str
    state: State
    cause: str
    fix: str = ""


async def looked(name: str, look: Callable[[], Awaitable[Check]], fix: str = "") -> Check:
    """The check; a missing permission is SKIPPED; other errors FAIL."""
    try:
        return await asyncio.wait_for(look(), LOOK_TIMEOUT_S)
    except DeniedError as denied:
        return Check(name, State.SKIPPED, f"{denied}; look as rater-operators", "rater acls --service operators")
    except (RaterError, Doubt) as wrong:
        return Check(name, State.FAIL, str(wrong).partition("\n")[0], fix)
    except TimeoutError:
        return Check(name, State.FAIL, f"no answer within {LOOK_TIMEOUT_S:.0f} s", fix)


def why_silent(wrong: TimeoutError | aiohttp.ClientError) -> str:
    """Why a page did not answer, in plain words where the library's are not."""
    if type(wrong) is aiohttp.ClientConnectorError:
        return "nothing listens there"
    return str(wrong) or "no answer in time"
