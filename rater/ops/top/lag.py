"""Waiting until nothing waits to be rated."""

import asyncio
from collections.abc import Callable

from rater.kafka.settings import KafkaSettings
from rater.ops.top.follower import Board

_LOOK_AGAIN_S = 0.5
#: So many looks without fewer records waiting: nobody rates them.
_STILL_MAX = 20


async def settled(settings: KafkaSettings, tell: Callable[[int], None]) -> int:
    """Wait while records wait and become fewer; how many still wait.  `tell` is given each new number."""
    async with Board(settings) as board:
        waiting, still = (await board.look()).waiting, 0
        while waiting and still < _STILL_MAX:
            tell(waiting)
            await asyncio.sleep(_LOOK_AGAIN_S)
            now = (await board.look()).waiting
            waiting, still = now, 0 if now < waiting else still + 1
        return waiting
