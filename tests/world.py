"""A tenant to try rules on: each line of a test is an input, each answer its outcome."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from rater.core.entities import Account
from rater.core.inputs import (
    AnyCommand,
    BrakeConfigured,
    BrakeReleased,
    CallAccepted,
    CallRecord,
    DeckActivated,
    FundsAdded,
    FundsAdjusted,
    FundsRefunded,
    LicenseAssigned,
    LicenseRemoved,
    PaymentFailed,
    PaymentReversed,
    PaymentSucceeded,
    RechargeSettings,
    TenantClosed,
    TenantConfigured,
    TenantReopened,
    Tick,
    UserConfigured,
)
from rater.core.lots import shown_lots
from rater.core.money import format_micros
from rater.core.outputs import AccountEvent, Debit, Output, RatedCall, RejectedCdr
from rater.core.reasons import CallType, NumberType, Outcome
from rater.core.settings import RatingSettings
from rater.core.state import Memory
from rater.dev.scenarios.engine import EmbeddedEngine
from rater.dev.scenarios.model import EXPECTED_EVENTS
from rater.files.deck_csv import read_deck
from rater.wire.codec import encode_input
from tests.engines import new_engine

DECK = Path(__file__).parent / "fixtures" / "deck.csv"
T = "contoso"
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
US, CA, JAMAICA, LONDON, PARIS, BERLIN, HARARE, TOKYO, ROME = (
    "+12065550100",
    "+14165550100",
    "+18765550100",
    "+442079460000",
    "+33142681000",
    "+493023010000",
    "+263242700000",
    "+81312345678",
    "+390612345678",
)
GB_SPECIAL, GB_PREMIUM, NOWHERE = "+448701234567", "+449012345678", "+68212345"


def at(text: str) -> datetime:
    """An instant: "2025-03-10" or "2025-03-10 12:30:00"."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class World:
    """One tenant, `contoso`, with the deck of the fixtures."""

    def __init__(
        self,
        *,
        credits: Literal["enabled", "not_set_up"] = "enabled",
        funds: str | None = "100",
        recharge: tuple[str, str] | None = None,
        conferencing_licenses: int = 0,
        country: str | None = None,
        deck: bool = True,
        **settings: Any,
    ) -> None:
        self.engine = new_engine(RatingSettings(**settings))
        self.engine.publish(read_deck(DECK, version="deck-1"))
        self.outputs: list[Output] = []
        self.outcome = Outcome.RATED
        self.happened = 0
        #: The bytes of the last call record.
        self.sent = b""
        enabled = recharge is not None
        trigger, amount = recharge or ("0", "100")
        self.apply(
            TenantConfigured(
                tenant=T,
                id="setup",
                at=BEGINNING,
                currency="USD",
                country=country,
                credits=credits,
                audio_conferencing_licenses=conferencing_licenses,
                recharge=RechargeSettings(enabled=enabled, trigger=trigger, amount=amount),
            )
        )
        if deck:
            self.apply(DeckActivated(tenant=T, id="deck", at=BEGINNING, version="deck-1"))
        if funds:
            self.fund(funds, "2025-03-01")

    def apply(self, command: AnyCommand, arrived: str | None = None) -> list[str]:
        """Send a command, stamped by the broker where asked for; the events it caused."""
        return self._submit("command", encode_input(command), arrived)

    def user(self, name: str, country: str | None, *skus: str) -> Self:
        """A user who has held licences for ever."""
        self.apply(UserConfigured(tenant=T, id=f"user-{name}", at=BEGINNING, user=name, country=country))
        for sku in skus:
            self.assign(name, sku, None)
        return self

    def assign(self, name: str, sku: str, when: str | None, until: str | None = None, **more: Any) -> list[str]:
        """A licence from an instant (None: for ever) on."""
        self.happened += 1
        return self.apply(
            LicenseAssigned(
                tenant=T,
                id=f"assign-{self.happened}",
                at=at(when) if when else BEGINNING,
                user=name,
                sku=sku,
                since_ever=when is None,
                effective_to=at(until) if until else None,
                **more,
            )
        )

    def remove(self, name: str, sku: str, when: str, country: str | None = None) -> list[str]:
        """A licence is removed."""
        self.happened += 1
        id = f"remove-{self.happened}"
        return self.apply(LicenseRemoved(tenant=T, id=id, at=at(when), user=name, sku=sku, country=country))

    def fund(self, amount: str, when: str, id: str | None = None) -> list[str]:
        """A purchase of credit."""
        self.happened += 1
        return self.apply(FundsAdded(tenant=T, id=id or f"funds-{self.happened}", at=at(when), amount=amount))

    def adjust(self, amount: str, when: str, id: str | None = None, **more: Any) -> list[str]:
        """Money by hand, with its sign."""
        self.happened += 1
        id = id or f"adjust-{self.happened}"
        said = {"reason": "goodwill", "by": "kim"} | more
        return self.apply(FundsAdjusted(tenant=T, id=id, at=at(when), amount=amount, **said))

    def promote(self, amount: str, when: str, expires: str, id: str | None = None) -> list[str]:
        """Promotional credit."""
        self.happened += 1
        id = id or f"promotion-{self.happened}"
        until = at(expires)
        return self.apply(
            FundsAdded(tenant=T, id=id, at=at(when), amount=amount, source="promotion", expires=until)
        )

    def refund(self, lot: str, amount: str, when: str) -> list[str]:
        """Money of a purchase is paid out."""
        self.happened += 1
        return self.apply(
            FundsRefunded(tenant=T, id=f"refund-{self.happened}", at=at(when), lot=lot, amount=amount)
        )

    def reverse_payment(self, lot: str, when: str) -> list[str]:
        """The bank takes a payment back."""
        self.happened += 1
        return self.apply(PaymentReversed(tenant=T, id=f"reverse-{self.happened}", at=at(when), lot=lot))

    def close(self, when: str, remainder: str = "pay_out", *, id: str | None = None) -> list[str]:
        """The tenant is closed."""
        self.happened += 1
        id = id or f"close-{self.happened}"
        return self.apply(
            TenantClosed(tenant=T, id=id, at=at(when), remainder=remainder, reason="contract ended", by="kim")  # type: ignore[arg-type]  # one of the two
        )

    def reopen(self, when: str) -> list[str]:
        """The tenant is open again."""
        self.happened += 1
        return self.apply(
            TenantReopened(tenant=T, id=f"reopen-{self.happened}", at=at(when), reason="mistake", by="kim")
        )

    def configure(self, when: str, **changes: Any) -> list[str]:
        """The tenant's settings change."""
        self.happened += 1
        return self.apply(TenantConfigured(tenant=T, id=f"configure-{self.happened}", at=at(when), **changes))

    def configure_user(self, name: str, when: str, **changes: Any) -> list[str]:
        """What a user may do changes."""
        self.happened += 1
        return self.apply(
            UserConfigured(tenant=T, id=f"configure-{self.happened}", at=at(when), user=name, **changes)
        )

    def brake(self, name: str, scope: str, limit: str, mode: str, **more: Any) -> list[str]:
        """A limit on spending a day is set on 2 March (A50), or as more says; the events."""
        self.happened += 1
        said: dict[str, Any] = {"measure": "spend", "window": "day", "at": at("2025-03-02")} | more
        said |= {"tenant": T, "id": f"brake-{self.happened}", "brake": name}
        said |= {"scope": scope, "limit": limit, "mode": mode}
        return self.apply(BrakeConfigured(**said))

    def release(
        self, brake: str, subject: str | None = None, when: str = "2025-03-10 18:00", country: str | None = None
    ) -> list[str]:
        """A person ends a stop, or allows a country that was new (A50)."""
        self.happened += 1
        id, by = f"release-{self.happened}", "kim"
        return self.apply(
            BrakeReleased(tenant=T, id=id, at=at(when), brake=brake, subject=subject, country=country, by=by)
        )

    def paid(self, when: str) -> list[str]:
        """The gateway collected the recharge in flight."""
        self.happened += 1
        return self.apply(PaymentSucceeded(tenant=T, id=f"paid-{self.happened}", at=at(when)))

    def declined(self, when: str) -> list[str]:
        """The gateway declined the recharge in flight."""
        self.happened += 1
        return self.apply(PaymentFailed(tenant=T, id=f"declined-{self.happened}", at=at(when)))

    def tick(self, when: str) -> list[str]:
        """Time passes."""
        return self.apply(Tick(tenant=T, id=f"tick-{when}", at=at(when)))

    def call(
        self,
        called: str,
        seconds: int = 60,
        when: str = "2025-03-10 10:00",
        *,
        user: str | None = "ada",
        type: str = "user_out",
        calling: str | None = "+14255550100",
        toll_free: bool = False,
        id: str | None = None,
        **more: Any,
    ) -> RatedCall:
        """A call that must be rated; returned is everything that explains its price."""
        self.cdr(called, seconds, when, user=user, type=type, calling=calling, toll_free=toll_free, id=id, **more)
        found = [output for output in self.outputs if isinstance(output, RatedCall)]
        assert found, (self.outcome, self.refusals)
        return found[0]

    def cdr(
        self,
        called: str | None,
        seconds: int = 60,
        when: str = "2025-03-10 10:00",
        *,
        user: str | None = "ada",
        type: str = "user_out",
        calling: str | None = "+14255550100",
        toll_free: bool = False,
        id: str | None = None,
        tenant: str = T,
        arrived: str | None = None,
        **more: Any,
    ) -> Outcome:
        """A record arrives; its outcome."""
        self.happened += 1
        record = CallRecord(
            tenant=tenant,
            usage_id=id or f"call-{self.happened}",
            type=CallType(type),
            answered_at=at(when),
            duration_s=seconds,
            user=user,
            calling=calling,
            called=called,
            number_type=NumberType.TOLL_FREE if toll_free else NumberType.TOLL,
            **more,
        )
        self.sent = encode_input(record)
        self._submit("cdr", self.sent, arrived)
        return self.outcome

    def raw(self, record: bytes) -> Outcome:
        """Bytes arrive on the topic of call records."""
        self._submit("cdr", record)
        return self.outcome

    def accept(self, when: str) -> list[str]:
        """A person lets the record through that was held just now; it comes again."""
        (letter,) = [output.id for output in self.outputs if isinstance(output, RejectedCdr)]
        self.apply(CallAccepted(tenant=T, id=f"accept-{letter}", at=at(when), letter=letter, by="ops"))
        return self._submit("cdr", self.sent)

    def _submit(self, kind: str, raw: bytes, arrived: str | None = None) -> list[str]:
        self.outcome, self.outputs = self.engine.submit(kind, raw, at(arrived) if arrived else None)
        return self.events

    @property
    def memory(self) -> Memory:
        """What is committed, to look into or to change; the test is marked `in_memory`."""
        assert type(self.engine) is EmbeddedEngine, "mark the test in_memory"
        return self.engine.memory

    @property
    def events(self) -> list[str]:
        """The events of the last step, in order."""
        emitted = [output.event.value for output in self.outputs if isinstance(output, AccountEvent)]
        return [event for event in emitted if event in EXPECTED_EVENTS]

    @property
    def refusals(self) -> list[str]:
        """Why the last step refused something."""
        return [output.reason.value for output in self.outputs if isinstance(output, RejectedCdr)]

    @property
    def debits(self) -> list[tuple[str, str]]:
        """The debits of the last step as (kind, amount)."""
        return [(output.kind.value, output.amount) for output in self.outputs if isinstance(output, Debit)]

    @property
    def account(self) -> Account:
        """The tenant's present state."""
        return self.engine.account(T)

    @property
    def balance(self) -> str:
        """The balance in major units."""
        return format_micros(self.account.balance)

    @property
    def lots(self) -> list[tuple[str, str]]:
        """Lots with money left, oldest first."""
        return [(lot.lot, format_micros(lot.remaining)) for lot in shown_lots(self.account)]

    def pool(self, name: str) -> tuple[int, int]:
        """Used and total minutes."""
        use = self.engine.pool(T, name)
        assert use is not None, name
        return use.used, use.total


def ada(*skus: str, country: str | None = "US", name: str = "ada", **world: Any) -> World:
    """A world with one user, in a country, who holds licences of these kinds."""
    return World(**world).user(name, country, *skus)


def pockets(call: RatedCall) -> list[tuple[str, int]]:
    """Segments as (pocket, minutes)."""
    return [(segment.pocket.value, segment.minutes) for segment in call.segments]


def plain(value: Any) -> Any:
    """A struct as plain data."""
    return msgspec.to_builtins(value)
