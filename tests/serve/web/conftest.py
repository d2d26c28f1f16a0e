from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
import pytest

from rater.core import FundsAdded, TenantConfigured
from tests.serve.web.world import Admitted, Visitor, admitted
from tests.serve.world import Serving, call, clients_file, setting_up

#: A tenant whose name is markup, turns the direction of a line, and is as long as a name may be.
HOSTILE = ("<script>alert(1)</script>\u202e" + "x" * 128)[:128]


#: The server lets time pass, so money that was bought long ago would be gone.
BEGAN = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)


class Open(NamedTuple):
    """A server with the page."""

    server: Serving
    admitted: Admitted

    def visitor(self, name: str | None = None) -> Visitor:
        """Somebody with a browser, signed in if a name is given."""
        visitor = Visitor(f"http://127.0.0.1:{self.server.port}")
        if name is not None:
            assert visitor.sign_in(self.admitted.tokens[name]).status == 200
        return visitor


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """contoso with 100 USD, two calls of ada and one of carl, who has no licence, fabrikam without money, and a tenant with a hostile name."""
    folder = tmp_path_factory.mktemp("page")
    at = BEGAN - timedelta(days=1)
    own = [msgspec.structs.replace(command, at=at) for command in setting_up()]
    others = [
        TenantConfigured(tenant=name, id="setup", at=at, currency="USD", credits="enabled")
        for name in ("fabrikam", HOSTILE)
    ]
    funds = FundsAdded(tenant=HOSTILE, id=HOSTILE, at=at, amount="20", purchase_order=HOSTILE)
    page = admitted(folder)
    clients = clients_file(folder, switch={}, office={"may": ["commands"]})
    with Serving(folder, clients, commands=[*own, *others, funds], page=page.page, arrived_at=BEGAN) as server:
        when = BEGAN.isoformat()
        calls = [call("a"), call("b", seconds=240), call("c", user="carl")]
        server.switch().send(*[one | {"answered_at": when} for one in calls])
        yield Open(server, page)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """contoso with 100 USD and 35 days of calls, 0.10 a day; fabrikam, which has made none; litware, in EUR."""
    folder = tmp_path_factory.mktemp("lived")
    at = BEGAN - timedelta(days=40)
    own = [msgspec.structs.replace(command, at=at) for command in setting_up()]
    others = [
        TenantConfigured(tenant=name, id="setup", at=at, currency=currency, credits="enabled")
        for name, currency in (("fabrikam", "USD"), ("litware", "EUR"))
    ]
    page = admitted(folder)
    clients = clients_file(folder, switch={}, office={"may": ["commands"]})
    with Serving(folder, clients, commands=[*own, *others], page=page.page, arrived_at=BEGAN) as server:
        days = [BEGAN - timedelta(days=day) for day in range(34, -1, -1)]
        calls = [call(f"day-{day:%m-%d}", answered_at=day.isoformat()) for day in days]
        assert server.switch().send(*calls).status == 200
        yield Open(server, page)
