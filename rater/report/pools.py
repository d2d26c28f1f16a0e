"""Minute pools of a tenant: used and total by month.

Refuses to know tables and files.
"""

from rater.core.entities import Account
from rater.core.pools import PoolUse, pool_use
from rater.core.settings import RatingSettings
from rater.core.state import State
from rater.embedded.store import Reader


def pool_report(reader: Reader, account: Account, period: str | None = None) -> list[PoolUse]:
    """Every pool that was drawn on, by name; of one month (`YYYY-MM`) if given."""
    state, settings = State(reader), RatingSettings()
    uses = [
        use
        for name in reader.names("pool", account.tenant)
        if period is None or name.endswith("/" + period)
        if (use := pool_use(state, settings, account, name)) is not None
    ]
    return sorted(uses, key=lambda use: (use.month, use.name))
