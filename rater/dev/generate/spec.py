"""What to generate: counts, shares, and where users and their calls are."""

import msgspec


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """A month of calls.  Shares are parts of one; `users` and `calls` are totals over all tenants."""

    seed: int = 1
    tenants: int = 3
    users: int = 60
    calls: int = 10_000
    month: str = "2025-03"
    currency: str = "USD"
    deck: str | None = None
    funds: str = "1000"
    recharge_trigger: str = "50"
    recharge_amount: str = "100"
    recharge: bool = True
    conferencing_licenses: int = 20
    hot_tenant_share: float = 0.0
    duplicate_share: float = 0.01
    conflict_share: float = 0.0002
    correction_share: float = 0.003
    late_share: float = 0.005
    poison_share: float = 0.0
    straddle_share: float = 0.003
    tenant_names: tuple[str, ...] = ()


#: Country of users -> share, and a prefix of its numbers with how many digits follow.
COUNTRIES: dict[str, tuple[int, tuple[str, ...]]] = {
    "US": (45, ("1206555", "1212555", "1425555", "1303555")),
    "GB": (18, ("44207946", "44161496", "44131496")),
    "DE": (12, ("49302301", "49892301", "49402301")),
    "FR": (9, ("33142681", "33199001")),
    "CA": (9, ("1416555", "1604555")),
    "NL": (4, ("31202301",)),
    "PR": (3, ("1787555",)),
}
#: Numbers abroad: share, prefix.
ABROAD: tuple[tuple[int, str], ...] = (
    (14, "44207946"),
    (14, "1212555"),
    (10, "49302301"),
    (9, "33142681"),
    (7, "33612345"),
    (7, "447700900"),
    (7, "912012345"),
    (6, "353120912"),
    (5, "39061234"),
    (5, "81312345"),
    (4, "876555"),
    (4, "1876555"),
    (3, "263242700"),
    (2, "448701234"),
    (2, "448431234"),
    (1, "1900555"),
    (1, "682123"),
)
#: Weights of the hours of a day, from midnight UTC.
HOURS = (1, 1, 1, 1, 1, 2, 4, 9, 16, 20, 20, 19, 16, 18, 20, 19, 17, 14, 9, 6, 4, 3, 2, 1)
#: Weights of the days of a week, from Monday.
DAYS = (20, 21, 21, 20, 18, 4, 3)
#: Licences of a user: share, SKUs.
LICENSES: tuple[tuple[int, tuple[str, ...]], ...] = (
    (40, ("MCOPSTN1", "MCOPSTNPP")),
    (12, ("MCOPSTN2", "MCOPSTNPP")),
    (14, ("MCOPSTN5", "MCOPSTNPP")),
    (8, ("MCOPSTN1",)),
    (6, ("MCOPSTN_PAYG_1", "MCOPSTNPP")),
    (12, ("MCOMEETADV", "MCOPSTN1", "MCOPSTNPP")),
    (4, ("MCOPSTN8", "MCOPSTNPP")),
    (4, ("MCOMEETACPEA",)),
)
#: Call types: share, type.
TYPES: tuple[tuple[int, str], ...] = (
    (52, "user_out"),
    (24, "user_in"),
    (4, "user_out_forwarding"),
    (3, "user_out_transfer"),
    (2, "user_out_conf"),
    (5, "conf_in"),
    (4, "conf_out"),
    (3, "ucap_in"),
    (1, "ucap_out"),
    (1, "dr_out"),
    (1, "dr_in"),
)
