"""Faults after which the outputs are the same, with the reason: no test can notice them, so none is drawn."""

#: What a mutant is shown as, without its line.
SAME = {
    # Caches and short cuts: the answer is the same, found more slowly.
    "rater/core/pools.py available: other.counted == account.licenses_revision  ->  False": "counts again",
    "rater/core/pools.py available: staged.counted == account.licenses_revision  ->  False": "keeps it again",
    "rater/core/pricing.py _route: len(_ROUTES) >= _ROUTES_MAX  ->  False": "the cache's bound",
    "rater/core/pricing.py _route: len(_ROUTES) >= _ROUTES_MAX  ->  True": "the cache is emptied too often",
    "rater/core/pricing.py _route: len(_ROUTES) >= _ROUTES_MAX  ->  len(_ROUTES) > _ROUTES_MAX": "its bound",
    "rater/core/pricing.py _route: _ROUTES.clear()  ->  pass": "the cache's bound",
    "rater/core/pricing.py _route: route is None  ->  True": "classifies again",
    "rater/core/pricing.py _route: held.own_plan and cdr.user  ->  held.own_plan or cdr.user": "a finer key",
    "rater/core/passing_time.py advance: at < account.wake_at  ->  False": "looks for what is due, and finds nothing",
    "rater/core/instants.py as_utc: instant if instant.tzinfo is UTC else instant.astimezone(UTC)"
    "  ->  instant.astimezone(UTC)": "UTC in UTC is the same instant",
    "rater/core/identity.py normal_usage_id: _BARE.fullmatch(text)  ->  False": "the pattern below finds it, too",
    "rater/core/debt.py take_back: owed_from < page.end  ->  owed_from <= page.end": "cuts nothing out of the page",
    "rater/core/debt.py take_back: page.start < end  ->  page.start <= end": "cuts nothing out of the page",
    "rater/core/debt.py take_back: page.start < end and owed_from < page.end"
    "  ->  page.start < end or owed_from < page.end": "cuts nothing out of the other pages",
    "rater/core/tariff.py billed_seconds: seconds <= first_s  ->  seconds < first_s": "the formula gives first_s, too",
    "rater/core/entitlements.py keep_countries: not countries.issubset(account.user_countries)  ->  True": "of all"
    " countries together the sorted tuple is the same",
    "rater/core/entitlements.py _count: 1  ->  2": "months before the first one, all alike",
}
