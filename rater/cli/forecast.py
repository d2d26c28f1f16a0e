"""`rater forecast` and `rater recommend`: when credit is likely to be used up, and which settings would keep it."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import orjson
import typer

from rater.cli.advice_shown import show_advice
from rater.cli.counting import counting
from rater.cli.kafka_options import Prefix, kafka_settings, talk
from rater.cli.printing import show_rows
from rater.cli.rules_of import settings_of
from rater.cli.run import DEFAULT_STORE
from rater.cli.sending import Bootstrap, StoreOption, Tenant
from rater.core import (
    Account,
    AccountEvent,
    AnyCommand,
    PaymentSucceeded,
    RatedCall,
    RateDeck,
    RatingSettings,
    RechargeRequest,
    Rules,
    Tariffs,
    format_micros,
)
from rater.embedded.store import open_reader
from rater.engine.books import Books
from rater.engine.counted import is_counted
from rater.engine.forecast import Forecast, Likely, charged_again, forecast, runs_of, spared_pools
from rater.engine.funding_advice import DAYS, Terms, advise
from rater.engine.future_runs import Answer, Player, Run
from rater.engine.gateway import succeeded
from rater.engine.likely_future import WEEKS_MAX, WEEKS_MIN, Past, past_of
from rater.engine.past_payments import past_payments
from rater.files.export_tables import pool_report
from rater.kafka.deck_books import published_decks
from rater.kafka.settings import rating_of_environment
from rater.kafka.tenant_books import books_of
from rater.wire.errors import Exit, RaterError

Format = Literal["text", "json", "csv"]
Days = Annotated[int, typer.Option(min=7, max=366, help="How many days to come.")]
Runs = Annotated[int, typer.Option(min=10, max=10_000, help="How many runs; more are smoother and take longer.")]
Seed = Annotated[int, typer.Option(help="Another number gives other runs, the same number the same ones.")]
Weeks = Annotated[int, typer.Option(min=WEEKS_MIN, max=52, help="From how many whole weeks is drawn, at most.")]
FormatOption = Annotated[Format, typer.Option(help="text, or json or csv with the band of each day.")]

Progress = Callable[[int], None]
_calls = msgspec.json.Decoder(RatedCall)
_events = msgspec.json.Decoder(AccountEvent)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("forecast")(show_forecast)
    app.command("recommend")(recommend)


class _Known(NamedTuple):
    """What a forecast needs of a tenant."""

    books: Books
    rules: Rules
    account: Account
    past: Past

    @property
    def now(self) -> datetime:
        """The latest instant that the tenant's records name."""
        return self.account.clock


class _Runs(NamedTuple):
    """How runs of a tenant are played."""

    known: _Known
    answer: Answer
    days: int
    runs: int
    seed: int
    progress: Progress

    def play(self, first: Sequence[AnyCommand] = ()) -> list[Run]:
        """Play them, commands first."""
        weeks, now = self.known.past.weeks, self.known.now
        return runs_of(self._player(first), weeks, now, self.days, self.runs, self.seed, self.progress)

    def play_again(self, played: Sequence[Run], first: Sequence[AnyCommand]) -> list[Run]:
        """Play them once more with other commands."""
        return charged_again(self._player(first), played, self.known.now, self.days, self.progress)

    def _player(self, first: Sequence[AnyCommand]) -> Player:
        known = self.known
        return Player(known.books, known.rules, known.account.tenant, self.answer, first)


def show_forecast(
    tenant: Tenant,
    days: Days = 60,
    runs: Runs = 50,
    seed: Seed = 1,
    weeks: Weeks = WEEKS_MAX,
    format: FormatOption = "text",
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
) -> None:
    """When a tenant's credit and minutes are likely to be used up; nothing is changed.

    Whole weeks of its own past are drawn by chance and rated from now on, many times: of ten such futures one is at
    or before P10, five P50, nine P90. Payments are answered as its last one was. Now is the tenant's latest record.

    Example: rater forecast contoso --days 30
    """
    with _known(tenant, weeks, store, bootstrap, prefix) as known:
        answer = _answer_of(known.books, tenant)
        with counting("runs played") as progress:
            found = _Runs(known, answer, days, runs, seed, progress).play()
        _show(forecast(found, known.now, days, _pools_now(known)), known, seed, format)


def recommend(
    tenant: Tenant,
    recharges_a_month: Annotated[int, typer.Option(min=1, max=100, help="How many recharges there may be.")] = 4,
    payment_delay: Annotated[
        int, typer.Option(min=1, max=10_000, help="How many minutes a payment takes at the most.")
    ] = 60,
    runs: Runs = 50,
    seed: Seed = 1,
    weeks: Weeks = WEEKS_MAX,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """A trigger and an amount of auto-recharge that are likely to be enough, and why.

    Enough: in nine of ten likely months the credit lasts while a payment is made, and there are no more recharges
    than given, whatever is left when they begin, from the trigger on. The months are drawn as by rater forecast.
    Nothing is changed.

    Example: rater recommend contoso --recharges-a-month 4 --payment-delay 60
    """
    terms = Terms(timedelta(minutes=payment_delay), recharges_a_month)
    with _known(tenant, weeks, store, bootstrap, prefix) as known:

        def paid(request: RechargeRequest) -> PaymentSucceeded:
            return succeeded(request, terms.delay)

        with counting("runs played") as progress:
            months = _Runs(known, paid, DAYS, runs, seed, progress)
            found = advise(months.play, months.play_again, known.account, known.now, terms)
        users = len(known.books.names("user", tenant))
    show_advice(found, known.account, terms, users, json)
    if not found.confirmed:
        message = (
            "played again with the largest settings tried, credit is used up too often; add funds by hand, too"
        )
        raise RaterError(message, Exit.FAILED)


@contextmanager
def _known(tenant: str, weeks: int, store: Path | None, bootstrap: str | None, prefix: str) -> Iterator[_Known]:
    """The tenant's books, from a store or from Kafka."""
    if bootstrap is not None and store is None:
        kafka = kafka_settings(bootstrap, prefix)
        with closing(talk(kafka, "operators", books_of(kafka, tenant))) as books:
            decks = talk(kafka, "operators", published_decks(kafka)).values()
            yield _knowing(books, rating_of_environment(), decks, tenant, weeks)
        return
    with closing(open_reader(store or DEFAULT_STORE)) as reader:
        reader.connection.execute("BEGIN")  # a store that is being written is read as it is now
        yield _knowing(reader, settings_of(reader), reader.decks(), tenant, weeks)


def _knowing(books: Books, settings: RatingSettings, decks: Iterable[RateDeck], tenant: str, weeks: int) -> _Known:
    account = books.account(tenant)
    if account is None:
        raise RaterError(f"{tenant}: expected a tenant that was configured", Exit.FAILED)
    if not account.credits:
        raise RaterError(f"{tenant}: expected a tenant with credits; it has set up none", Exit.FAILED)
    rules = Rules(settings, Tariffs.of(decks))
    calls = (_calls.decode(value) for _, value in books.topic("rated-calls", tenant))
    return _Known(books, rules, account, past_of(calls, account.clock, weeks))


def _answer_of(books: Books, tenant: str) -> Answer:
    """As the tenant's last payment was answered; paid where there was none."""
    values = (value for _, value in books.topic("account-events", tenant))
    return past_payments((), (_events.decode(value) for value in values if is_counted(value))).likely_answer


def _pools_now(known: _Known) -> dict[str, bool]:
    """The pools of this month that were drawn on: whether each is used up."""
    uses = pool_report(known.books, known.account, f"{known.now.astimezone(UTC):%Y-%m}")
    return {use.name: use.used >= use.total for use in uses}


def _show(found: Forecast, known: _Known, seed: int, format: Format) -> None:
    match format:
        case "json":
            typer.echo(orjson.dumps(_facts(found, known, seed)))
        case "csv":
            typer.echo(_csv(found), nl=False)
        case "text":
            _print(found, known, seed)


def _facts(found: Forecast, known: _Known, seed: int) -> dict[str, object]:
    return {
        "tenant": known.account.tenant,
        "currency": known.account.currency,
        "now": found.now.isoformat(),
        "days": found.days,
        "weeks": len(known.past.weeks),
        "until": known.past.until.isoformat(),
        "runs": found.runs,
        "seed": seed,
        "balance": format_micros(known.account.balance),
        "first_zero": found.first_zero._asdict(),
        "next_recharge": found.next_recharge._asdict(),
        "recharges": found.recharges._asdict(),
        "balances": [dict(zip(Likely._fields, map(_money, day), strict=True)) for day in found.balances],
        "spent": [dict(zip(Likely._fields, map(_money, day), strict=True)) for day in found.spent],
        "pools": {pool: likely._asdict() for pool, likely in found.used_up.items()},
    }


def _csv(found: Forecast) -> str:
    """A row for the end of each day."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["day_end", *(f"{what}_{p}" for what in ("balance", "spent") for p in Likely._fields)])
    for day, (balance, spent) in enumerate(zip(found.balances, found.spent, strict=True), start=1):
        ends = (found.now + timedelta(days=day)).isoformat()
        rows.writerow([ends, *map(_money, balance), *map(_money, spent)])
    return text.getvalue()


def _money(micros: int | None) -> str | None:
    return None if micros is None else format_micros(micros)


def _print(found: Forecast, known: _Known, seed: int) -> None:
    """The band in one table: credit, recharges, spend, balances, pools."""
    last = found.days - 1
    rows: list[tuple[Any, ...]] = [
        ("credit is used up", *map(_day, found.first_zero)),
        ("the next recharge is paid", *map(_day, found.next_recharge)),
        (f"recharges in {found.days} days", *found.recharges),
        (f"spent in {found.days} days", *map(_money, found.spent[last])),
    ]
    days = sorted({min(6, last), min(13, last), min(29, last), last})
    rows += [(f"balance after {day + 1} days", *map(_money, found.balances[day])) for day in days]
    used_up = {pool: likely for pool, likely in found.used_up.items() if likely.p10}
    rows += [(f"used up: {pool}", *map(_day, likely)) for pool, likely in used_up.items()]
    show_rows(("what", "P10", "P50", "P90"), rows, json=False)
    if spared := spared_pools(found.used_up, used_up):
        typer.echo(f"not used up within {found.days} days: {', '.join(spared)}")
    balance = f"{format_micros(known.account.balance)} {known.account.currency} on {found.now:%Y-%m-%d}"
    weeks = f"{len(known.past.weeks)} weeks up to {known.past.until:%Y-%m-%d}"
    typer.echo(f"{balance}; drawn from {weeks}, {found.runs} runs, seed {seed}", err=True)


def _day(at: datetime | None) -> str:
    return "not within" if at is None else f"{at:%Y-%m-%d}"
