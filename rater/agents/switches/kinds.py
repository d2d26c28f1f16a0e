"""The carrier of each kind of switch."""

from collections.abc import Callable
from datetime import datetime
from typing import assert_never

from rater.agents.switches.asterisk import Asterisk
from rater.agents.switches.carrier import Carrier
from rater.agents.switches.freeswitch import FreeSwitch
from rater.agents.switches.kamailio import Kamailio
from rater.agents.switches.settings import SwitchEntry, SwitchKind
from rater.agents.switches.webhook import WebhookSwitch


def carrier_of(entry: SwitchEntry, now: Callable[[], datetime]) -> Carrier:
    """The way to a switch; RaterError: its secret is not there."""
    match entry.kind:
        case SwitchKind.KAMAILIO:
            return Kamailio(entry)
        case SwitchKind.FREESWITCH:
            return FreeSwitch(entry)
        case SwitchKind.ASTERISK:
            return Asterisk(entry)
        case SwitchKind.WEBHOOK:
            return WebhookSwitch(entry, now)
        case _:
            assert_never(entry.kind)
