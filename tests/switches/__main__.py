"""`make switch`: a Kamailio that asks a rater, three calls through it, and what was billed for each.

Everything is on 127.0.0.1 and ends with the last call, or with Ctrl-C.
"""

import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from tests.switches.kamailio import missing
from tests.switches.phones import Caller
from tests.switches.site import LONDON, US, Site, costly, site
from tests.waiting import until


def main() -> int:
    """Show three calls; 1 where the programs are not here."""
    if (absent := missing()) is not None:
        print(absent)
        return 1
    with tempfile.TemporaryDirectory(prefix="rater-switch-") as folder:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            print("Starting a rater over a store, a Kamailio that asks it, and a phone that answers every call.")
            with site(Path(folder)) as one:
                print(f"    rater http://127.0.0.1:{one.serving.port}, Kamailio 127.0.0.1:{one.kamailio.sip_port}")
                for show in (show_bundle, show_credit, show_cut):
                    show(one)
                print("\nEnding everything.")
        except KeyboardInterrupt:
            print("\nEnded.")
    return 0


def show_bundle(one: Site) -> None:
    """A call that minutes cover."""
    print("\n1. A call that the bundle covers: ada of bundle has a plan with 120 minutes, and 5 USD.")
    tenant = one.tenant("bundle", "5", sku="MCOPSTN5")
    caller = begin(one, "hangs_up", tenant, US, "-d", "1500")
    caller.wait()
    print("   The caller hangs up.")
    billed(one, tenant, caller)


def show_credit(one: Site) -> None:
    """A call that money pays."""
    print("\n2. A call that is paid with credit: ada of credit has no plan, and 5 USD.")
    tenant = one.tenant("credit", "5")
    caller = begin(one, "hangs_up", tenant, LONDON, "-d", "1500")
    caller.wait()
    print("   The caller hangs up.")
    billed(one, tenant, caller)


def show_cut(one: Site) -> None:
    """A call that runs when the money is gone."""
    print("\n3. A running call is cut: ada of cut has no plan, and 5 USD.")
    tenant = one.tenant("cut", "5")
    caller = begin(one, "stays", tenant, LONDON)
    until(lambda: one.lasts_s(caller) >= 2, "the call to last two seconds")
    now = datetime.now(UTC)
    print("   The record of another switch comes: a minute to Jamaica, 60 USD.")
    one.office.send(costly(tenant, now))
    caller.wait()
    (order,) = one.orders(tenant)
    after_ms = (caller.received("BYE")[0].at - now.timestamp()) * 1_000
    print(
        f"   The rater orders the call to end: {order.reason.value}, after {order.authorized_s} authorised seconds."
    )
    print(f"   The caller has Kamailio's BYE {after_ms:.0f} ms after the record was sent.")
    billed(one, tenant, caller)
    refused = one.call("hangs_up", tenant, LONDON, "-d", "500")
    refused.wait()
    print(f"   The next call is answered with: {refused.answer}")


def begin(one: Site, scenario: str, tenant: str, called: str, *words: str) -> Caller:
    """A call that is answered."""
    asked = urlencode({"tenant": tenant, "user": "ada", "called": called, "format": "text"})
    print(
        f"   May ada call {called}?  The rater says: {one.serving.switch.ask(f'/v1/authorize?{asked}').body.strip()}"
    )
    caller = one.call(scenario, tenant, called, *words)
    caller.wait_until_answered()
    print("   Kamailio puts the call through, and it is answered.")
    return caller


def billed(one: Site, tenant: str, caller: Caller) -> None:
    """What the ledger has of a call."""
    rated, said = one.rated(caller), one.kamailio.written(caller.id)
    lasted = (said.ended_us - said.began_us) / 1e6
    parts = ", ".join(f"{part.minutes} min of {part.pocket.value}" for part in rated.segments) or "nothing"
    capped = "" if rated.authorized_s is None else f", at most {rated.authorized_s} s of them billed"
    print(f"   It lasted {lasted:.3f} s by Kamailio's clock: {rated.duration_s} s{capped}.")
    print(f"   Billed: {rated.charge} {rated.currency} ({parts}); balance {one.balance(tenant)} {rated.currency}.")


if __name__ == "__main__":
    sys.exit(main())
