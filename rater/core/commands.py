"""Commands: provisioning, money, payments, ticks, decks.  Each is idempotent by its id.

Rules 10, 14, 31, 58 to 67, A6 to A8, A10.
Refuses to know who sent a command, and minimum amounts (those are checks of what people type).
"""

from datetime import datetime
from typing import assert_never

import msgspec
from msgspec import UNSET

from rater.core.calls import accepted_key
from rater.core.catalogue import helps, sku
from rater.core.country_names import ISO_COUNTRIES, meant_country
from rater.core.credit import credit
from rater.core.entities import Account, Alias, InFlight, Seen, User
from rater.core.entitlements import moved_to, new_user, store_user, with_license, without_license
from rater.core.geography import NO_CREDITS
from rater.core.identity import name_key
from rater.core.inputs import (
    NO_TENANT,
    AnyCommand,
    CallAccepted,
    DeckActivated,
    FundsAdded,
    LicenseAssigned,
    LicenseRemoved,
    PaymentFailed,
    PaymentSucceeded,
    RechargeSettings,
    TenantConfigured,
    Tick,
    UserConfigured,
)
from rater.core.instants import as_utc
from rater.core.limits import too_long_history, too_many_dates, too_many_purchases
from rater.core.money import BALANCE_MICROS_MAX, MoneyError, format_micros, parse_micros
from rater.core.numbers import is_domain, normal_domain
from rater.core.passing_time import (
    advance,
    balance_moved,
    expect_relief,
    set_alarm,
    unrestrict,
    unrestrict_all,
)
from rater.core.policies import POLICIES
from rater.core.reasons import EventKind, Outcome, Reason, Refusal
from rater.core.recharge import RechargeEvent, advance_recharge, set_terms
from rater.core.state import name_alias, object_alias
from rater.core.step import Step


def command_arrived(step: Step, command: AnyCommand) -> Outcome | Refusal:
    """Apply one command of a known tenant; a Refusal changed nothing."""
    if isinstance(command, Tick):
        advance(step, as_utc(command.at))
        advance_recharge(step, RechargeEvent.TIME)
        return Outcome.RATED
    before = step.state.seen((step.account.tenant, f"command/{command.id}"))
    if before is not None:
        return _repeated(step.account, command, before)
    refused = unreadable(command) or _when_at_its_time(step, command)
    if refused is not None:
        return refused
    _apply(step, command)
    command_seen(step, command)
    return Outcome.RATED


def _when_at_its_time(step: Step, command: AnyCommand) -> Refusal | None:
    """Move the clock to the command's time and judge it there; a rejected one moves nothing (A37)."""
    at = as_utc(command.at)
    if at < step.account.wake_at:  # nothing is due before: it is judged as things stand
        refused = _refusal(step, command)
        if refused is None:
            advance(step, at)
        return refused
    attempt = step.attempt()
    advance(attempt, at)
    refused = _refusal(attempt, command)
    if refused is None:
        step.adopt(attempt)
    return refused


def command_seen(step: Step, command: AnyCommand) -> None:
    """Remember that the command was taken, and what it said."""
    step.state.seen_now[(step.account.tenant, f"command/{command.id}")] = Seen(
        step.at, _said(step.account, command)
    )


def _repeated(account: Account, command: AnyCommand, before: Seen) -> Outcome | Refusal:
    """The id was taken before.  Money that says something else is refused, so that none is lost without a word.

    `at` may differ: who repeats a command because the answer was lost says a new time.  Other commands may say
    what they like: agents repeat the gateway's answers under their ids.
    """
    if not isinstance(command, FundsAdded) or before.said is None:
        return Outcome.DUPLICATE
    wrong = unreadable(command)
    if wrong is not None:
        return wrong
    says = _said(account, command)
    if says == before.said:
        return Outcome.DUPLICATE
    message = (
        f"expected an id of its own for {says!r}: {command.id!r} was taken by {before.said!r}"
        f" at {before.at.isoformat()}; nothing was added"
    )
    return Refusal(Reason.CONFLICTING_DUPLICATE, "id", message)


def _said(account: Account, command: AnyCommand) -> str:
    """What a command said, in short; see Seen."""
    kind = str(type(command).__struct_config__.tag)
    if not isinstance(command, FundsAdded):
        return kind
    return f"{kind} {format_micros(parse_micros(command.amount))} {command.currency or account.currency}"


def _apply(step: Step, command: AnyCommand) -> None:
    match command:
        case TenantConfigured():
            configure_tenant(step, command)
        case UserConfigured():
            _configure_user(step, command)
        case LicenseAssigned():
            _assign(step, command)
        case LicenseRemoved():
            _remove(step, command)
        case FundsAdded():
            _fund(step, command)
        case PaymentSucceeded():
            _payment_succeeded(step, command)
        case PaymentFailed():
            _payment_failed(step, command)
        case DeckActivated():
            _activate(step, command)
        case CallAccepted():
            _accept(step, command)
        case Tick():
            pass
        case _:
            assert_never(command)


def unreadable(command: AnyCommand) -> Refusal | None:
    """Why no tenant could be told this: an amount, a country or a policy that is none."""
    match command:
        case TenantConfigured(country=country, recharge=terms, domains=domains):
            terms = terms or RechargeSettings()
            return (
                _no_country(country)
                or _no_domain(domains or ())
                or _bad_amount("recharge.trigger", terms.trigger, zero=True)
                or _bad_amount("recharge.amount", terms.amount, zero=True)
            )
        case UserConfigured(user=user, country=country, outbound_policy=policy, object_id=object_id):
            return (
                _blank("user", user) or _no_country(country) or _no_policy(policy) or _blank("object_id", object_id)
            )
        case LicenseAssigned(user=user, country=country) | LicenseRemoved(user=user, country=country):
            return _blank("user", user) or _no_country(country)
        case FundsAdded(amount=amount):
            return _bad_amount("amount", amount)
        case _:
            return None


def _refusal(step: Step, command: AnyCommand) -> Refusal | None:
    """Why the command cannot be applied to this tenant, found before anything is changed."""
    account = step.account
    match command:
        case TenantConfigured(currency=currency, recharge=terms, audio_conferencing_licenses=licenses):
            return (
                _other_currency(account, currency)
                or (_bad_amount("recharge.amount", terms.amount) if terms else None)
                or _too_many_counts(account, licenses)
            )
        case UserConfigured() | LicenseAssigned() | LicenseRemoved():
            return too_long_history(_changed(step, command)[1])
        case FundsAdded(amount=amount, currency=currency):
            return (
                _other_currency(account, currency)
                or _too_much(account, parse_micros(amount))
                or too_many_purchases(account)
            )
        case PaymentSucceeded():
            return _wrong_payment(account, command)
        case PaymentFailed(recharge_id=recharge):
            return _no_such_recharge(account, recharge)
        case DeckActivated(version=version):
            return _no_such_deck(step, version) or too_many_dates("decks", account.decks)
        case CallAccepted(letter=letter):
            return _no_held_record(step, letter)
        case _:
            return None


def configure_tenant(step: Step, command: TenantConfigured, *, first: bool = False) -> None:
    """Change what the command names; switching recharge on while below the trigger asks at once.

    A tenant's first configuration asks for nothing: it never had credit.
    """
    account = step.account
    account.country = command.country or account.country
    if command.domains is not None:
        account.domains = tuple(sorted({normal_domain(domain) for domain in command.domains}))
    if command.credits is not None:
        account.credits = command.credits == "enabled" and account.country not in NO_CREDITS
        if account.credits and account.restrictions.users:
            unrestrict_all(step, "credits_set_up")
    if command.audio_conferencing_licenses is not None:
        since = None if first else as_utc(command.at)
        purchased = (*account.conferencing_licenses, (since, command.audio_conferencing_licenses))
        account.conferencing_licenses = tuple(sorted(purchased, key=_by_since))
    if command.recharge is not None:
        set_terms(account, command.recharge)
    if command.call_duration_max_s is not None:
        account.call_duration_max_s = command.call_duration_max_s
    step.tell(EventKind.TENANT_CONFIGURED, command_id=command.id)
    step.balance_changed()
    if first:
        return
    if command.recharge is not None or command.payment_method is not None:
        advance_recharge(step, RechargeEvent.CHANGED)
    elif command.credits is not None:
        advance_recharge(step, RechargeEvent.ENABLED)


def _changed(step: Step, command: UserConfigured | LicenseAssigned | LicenseRemoved) -> tuple[User | None, User]:
    """The user as it was configured, if it was, and as the command makes it; nothing is kept yet."""
    match command:
        case UserConfigured(object_id=object_id):
            before, after = _to_configure(step, command, object_id)
            since = as_utc(command.at) if before else None
        case LicenseAssigned():
            before, after = _to_configure(step, command)
            since = _since(command) if before else None
        case LicenseRemoved():
            before = step.state.who(step.account.tenant, command.user)
            if before is None or not before.configured:
                return None, before or new_user(command.user, None)
            after, since = before, as_utc(command.effective_from or command.at)
        case _:
            assert_never(command)
    if command.country is not None:
        after = moved_to(after, command.country, since)
    match command:
        case LicenseAssigned(effective_to=until):
            return before, with_license(after, _code(command), _since(command), until and as_utc(until))
        case LicenseRemoved():
            return before, without_license(after, _code(command), since)
        case UserConfigured(outbound_policy=policy, toll_free_dial_in=toll_free):
            if policy is not None:
                after = msgspec.structs.replace(after, outbound_policy=policy)
            if toll_free is not None:
                after = msgspec.structs.replace(after, toll_free_dial_in=toll_free)
            return before, after
        case _:
            assert_never(command)


def _since(command: LicenseAssigned) -> datetime | None:
    """From when the licence is held; None: ever."""
    return None if command.since_ever else as_utc(command.effective_from or command.at)


def _code(command: LicenseAssigned | LicenseRemoved) -> str:
    """The licence as the catalogue names it, or as the command does."""
    return known.code if (known := sku(command.sku)) else command.sku


def _configure_user(step: Step, command: UserConfigured) -> None:
    before, after = _changed(step, command)
    store_user(step.state, step.account.tenant, before, after)
    if command.object_id is not None:
        _link(step, command.user, command.object_id, after)
    step.tell(EventKind.USER_CONFIGURED, user=after.user, command_id=command.id)


def _to_configure(
    step: Step, command: UserConfigured | LicenseAssigned, object_id: str | None = None
) -> tuple[User | None, User]:
    """The user as it was configured, if it was, and the one to change; its first spelling in a command is shown."""
    known = step.state.who(step.account.tenant, command.user, object_id)
    if known is not None and known.configured:
        return known, known
    fresh = new_user(command.user, command.country)
    if known is not None:
        fresh = msgspec.structs.replace(fresh, restricted_since=known.restricted_since)
    return None, fresh


def _link(step: Step, name: str, object_id: str, user: User) -> None:
    """From now on the object id means this user, and so does the name, if it is another one of it (A40)."""
    tenant, key = step.account.tenant, name_key(user.user)
    step.state.aliases[(tenant, object_alias(object_id))] = Alias(key)
    if name_key(name) != key:
        step.state.aliases[(tenant, name_alias(name))] = Alias(key)


def _assign(step: Step, command: LicenseAssigned) -> None:
    since, code = _since(command), _code(command)
    until = as_utc(command.effective_to) if command.effective_to else None
    before, after = _changed(step, command)
    store_user(step.state, step.account.tenant, before, after)
    step.tell(
        EventKind.LICENSE_ASSIGNED,
        user=after.user,
        sku=code,
        command_id=command.id,
        reason=None if sku(command.sku) else "unknown_sku",
    )
    now = step.account.clock
    if after.restricted_since is None or not helps(code) or (until is not None and until <= now):
        return
    if since is None or since <= now:
        unrestrict(step, name_key(after.user), "license_assigned")
    else:
        expect_relief(step.account, since)


def _remove(step: Step, command: LicenseRemoved) -> None:
    before, after = _changed(step, command)
    if before is not None:
        store_user(step.state, step.account.tenant, before, after)
    step.tell(EventKind.LICENSE_REMOVED, user=after.user, sku=_code(command), command_id=command.id)


def _fund(step: Step, command: FundsAdded) -> None:
    step.tell(
        EventKind.FUNDS_ADDED,
        lot=command.id,
        amount=format_micros(parse_micros(command.amount)),
        command_id=command.id,
        reason=command.purchase_order or command.agreement,
    )
    _credit(step, command.id, parse_micros(command.amount))


def _credit(step: Step, lot: str, amount: int) -> None:
    """Add a lot; one bought long ago may have expired already."""
    account = step.account
    before = account.balance
    credit(step.state, account, lot, amount, step.at)
    step.balance_changed()
    set_alarm(account)
    balance_moved(step, before, credited=True)


def _payment_succeeded(step: Step, command: PaymentSucceeded) -> None:
    paid = step.account.recharge.in_flight
    assert paid is not None
    advance_recharge(step, RechargeEvent.PAID)
    step.tell(
        EventKind.RECHARGE_SUCCEEDED,
        recharge_id=paid.recharge,
        amount=format_micros(paid.amount),
        command_id=command.id,
    )
    _credit(step, paid.recharge, paid.amount)


def _payment_failed(step: Step, command: PaymentFailed) -> None:
    failed = step.account.recharge.in_flight
    assert failed is not None
    advance_recharge(step, RechargeEvent.FAILED)
    step.tell(
        EventKind.RECHARGE_FAILED,
        recharge_id=failed.recharge,
        amount=format_micros(failed.amount),
        reason="declined" if command.reason is UNSET else command.reason,
        command_id=command.id,
    )
    step.balance_changed()


def _activate(step: Step, command: DeckActivated) -> None:
    since = as_utc(command.effective_from) if command.effective_from else None
    step.account.decks = tuple(sorted((*step.account.decks, (since, command.version)), key=_by_since))
    step.tell(EventKind.DECK_ACTIVATED, command_id=command.id, reason=command.version)


def _accept(step: Step, command: CallAccepted) -> None:
    """Let a held record through: it is rated when it comes again (A44)."""
    held = _held_by(step, command.letter)
    assert held is not None, command.letter
    step.state.seen_now[accepted_key(step.account.tenant, held)] = Seen(step.at, command.letter)
    step.tell(EventKind.CALL_ACCEPTED, command_id=command.id, reason=command.by)


def _held_by(step: Step, letter: str) -> str | None:
    """Which call a dead letter holds; see held_as."""
    seen = step.state.seen((step.account.tenant, f"rejected/{letter}"))
    return seen.said if seen is not None else None


def _no_held_record(step: Step, letter: str) -> Refusal | None:
    if _held_by(step, letter) is not None:
        return None
    message = f"expected the id of a held record's dead letter (implausible_duration), got {letter!r}"
    return Refusal(Reason.UNKNOWN_LETTER, "letter", message)


def _by_since(dated: tuple[object, object]) -> str:
    """Sort key of (instant or None, value): None first; stable, so that the later of equals wins."""
    return dated[0].isoformat() if dated[0] else ""  # type: ignore[attr-defined]  # a datetime in UTC


def _bad_amount(field: str, text: str | None, *, zero: bool = False) -> Refusal | None:
    if text is None:
        return None
    try:
        micros = parse_micros(text)
    except MoneyError as wrong:
        return Refusal(Reason.BAD_AMOUNT, field, str(wrong))
    if micros < 0 or (micros == 0 and not zero):
        return Refusal(Reason.BAD_AMOUNT, field, f"expected an amount above zero, got {text!r}")
    return None


def _blank(field: str, text: str | None) -> Refusal | None:
    """Refuse a name that is empty but for blanks: it counts as absent (A40)."""
    if text is None or name_key(text):
        return None
    return Refusal(Reason.MALFORMED, field, f"expected a value, got only blanks: {text!r}")


def _no_country(code: str | None) -> Refusal | None:
    """Refuse what looks like a country and is none: UK's users would have no domestic calls and no minutes."""
    if code is None or code in ISO_COUNTRIES:
        return None
    return Refusal(
        Reason.MALFORMED, "country", f"expected an ISO 3166-1 alpha-2 country, got {code!r}{meant_country(code)}"
    )


def _no_domain(domains: tuple[str, ...]) -> Refusal | None:
    wrong = next((domain for domain in domains if not is_domain(domain)), None)
    if wrong is None:
        return None
    message = f"expected a SIP domain such as contoso.example, got {wrong!r}"
    return Refusal(Reason.MALFORMED, "domains", message)


def _no_policy(name: str | None) -> Refusal | None:
    """Refuse a policy that is not one of rule 24's twelve: as the default it would allow every call."""
    if name is None or name in POLICIES:
        return None
    message = f"expected one of {', '.join(sorted(POLICIES))}; got {name!r}"
    return Refusal(Reason.MALFORMED, "outbound_policy", message)


def _too_many_counts(account: Account, licenses: int | None) -> Refusal | None:
    if licenses is None:
        return None
    return too_many_dates("audio_conferencing_licenses", account.conferencing_licenses)


def _no_such_deck(step: Step, version: str) -> Refusal | None:
    """A deck must be published; one tenant's must be in its currency, everybody's is for tenants of its own."""
    account, tariff = step.account, step.rules.tariffs.get(version)
    if tariff is None:
        return Refusal(Reason.UNKNOWN_DECK, "version", f"expected a published deck, got {version!r}")
    if account.tenant == NO_TENANT or tariff.currency == account.currency:
        return None
    expected = f"expected a deck in the tenant's currency {account.currency}"
    message = f"{expected}, got deck {version!r} in {tariff.currency}"
    return Refusal(Reason.CURRENCY_MISMATCH, "version", message)


def _other_currency(account: Account, currency: str | None) -> Refusal | None:
    if currency is None or currency == account.currency:
        return None
    message = f"expected the tenant's currency {account.currency}, got {currency}"
    return Refusal(Reason.CURRENCY_MISMATCH, "currency", message)


def _no_such_recharge(account: Account, recharge: str | None) -> Refusal | None:
    in_flight = account.recharge.in_flight
    if in_flight is not None and recharge in (None, in_flight.recharge):
        return None
    asked = f"recharge {in_flight.recharge} is" if in_flight else "no recharge is"
    return Refusal(Reason.NO_RECHARGE_IN_FLIGHT, "recharge_id", f"{asked} in flight, got an answer to {recharge}")


def _too_much(account: Account, amount: int) -> Refusal | None:
    """No balance is so large that a sum of it with anything else overflows 64 bits."""
    if account.balance + amount <= BALANCE_MICROS_MAX:
        return None
    largest, balance = format_micros(BALANCE_MICROS_MAX), format_micros(account.balance)
    message = (
        f"expected a balance of at most {largest} (BALANCE_MICROS_MAX) after it,"
        f" got {balance} + {format_micros(amount)}; nothing was added"
    )
    return Refusal(Reason.BAD_AMOUNT, "amount", message)


def _wrong_payment(account: Account, command: PaymentSucceeded) -> Refusal | None:
    wrong = _other_currency(account, command.currency) or _no_such_recharge(account, command.recharge_id)
    if wrong is not None:
        return wrong
    asked = account.recharge.in_flight
    assert asked is not None, "_no_such_recharge"
    return _other_amount(asked, command.amount) or _too_much(account, asked.amount)


def _other_amount(asked: InFlight, amount: str | None) -> Refusal | None:
    if amount is None:
        return None
    bad = _bad_amount("amount", amount)
    if bad is None and parse_micros(amount) != asked.amount:
        expected = format_micros(asked.amount)
        return Refusal(
            Reason.PAYMENT_MISMATCH, "amount", f"expected the {expected} that was asked for, got {amount}"
        )
    return bad
