"""Tenants, users and licences, as a person sets them up; decks and held records, as a person decides.

Rules 10, 14, 31, 67, A10, A36, A40, A44.
"""

from datetime import datetime
from typing import assert_never

import msgspec

from rater.core.activations import with_activation
from rater.core.amounts import bad_amount
from rater.core.brake_commands import set_alerts
from rater.core.calls import accepted_key
from rater.core.catalogue import code_of, helps, sku
from rater.core.country_names import ISO_COUNTRIES, meant_country
from rater.core.entities import Account, Alias, Seen, User
from rater.core.entitlements import moved_to, new_user, store_user, with_license, without_license
from rater.core.geography import NO_CREDITS
from rater.core.identity import erased_alias, is_pseudonym, name_alias, name_key, object_alias
from rater.core.inputs import (
    NO_TENANT,
    CallAccepted,
    DeckActivated,
    LicenseAssigned,
    LicenseRemoved,
    RechargeSettings,
    TenantConfigured,
    UserConfigured,
)
from rater.core.instants import as_utc
from rater.core.limits import too_many_dates
from rater.core.numbers import is_domain, normal_domain
from rater.core.passing_time import expect_relief, unrestrict, unrestrict_all
from rater.core.policies import POLICIES
from rater.core.reasons import EventKind, Reason, Refusal
from rater.core.recharge import RechargeEvent, advance_recharge, set_terms
from rater.core.state import letter_key
from rater.core.step import Step


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
    if command.balance_alerts is not None:
        set_alerts(account, command.balance_alerts)
    step.emit(EventKind.TENANT_CONFIGURED, command_id=command.id)
    step.balance_changed()
    if first:
        return
    if command.recharge is not None or command.payment_method is not None:
        advance_recharge(step, RechargeEvent.CHANGED)
    elif command.credits is not None:
        advance_recharge(step, RechargeEvent.ENABLED)


def changed_user(
    step: Step, command: UserConfigured | LicenseAssigned | LicenseRemoved
) -> tuple[User | None, User]:
    """The user as it was configured, if it was, and as the command makes it; nothing is kept yet."""
    match command:
        case UserConfigured(object_id=object_id):
            before, after = _to_configure(step, command, object_id)
            since = as_utc(command.at) if before else None
        case LicenseAssigned():
            before, after = _to_configure(step, command)
            since = _since(command) if before else None
        case LicenseRemoved():
            before = step.state.user_meant_by(step.account.tenant, command.user)
            if before is None or not before.configured:
                return None, before or new_user(command.user, None)
            after, since = before, as_utc(command.effective_from or command.at)
        case _:
            assert_never(command)
    if command.country is not None:
        after = moved_to(after, command.country, since)
    match command:
        case LicenseAssigned(effective_to=until):
            return before, with_license(after, code_of(command.sku), _since(command), until and as_utc(until))
        case LicenseRemoved():
            return before, without_license(after, code_of(command.sku), since)
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


def configure_user(step: Step, command: UserConfigured) -> None:
    """Change what the command names of a user."""
    before, after = changed_user(step, command)
    store_user(step.state, step.account.tenant, before, after)
    if command.object_id is not None:
        _link(step, command.user, command.object_id, after)
    step.emit(EventKind.USER_CONFIGURED, user=after.user, command_id=command.id)


def _to_configure(
    step: Step, command: UserConfigured | LicenseAssigned, object_id: str | None = None
) -> tuple[User | None, User]:
    """The user as it was configured, if it was, and the one to change; its first spelling in a command is shown."""
    known = step.state.user_meant_by(step.account.tenant, command.user, object_id)
    if known is not None and known.configured:
        return known, known
    if known is not None and is_pseudonym(known.user):
        return None, msgspec.structs.replace(known, configured=True)
    fresh = new_user(command.user, command.country)
    if known is not None:
        fresh = msgspec.structs.replace(fresh, restricted_since=known.restricted_since)
    return None, fresh


def _link(step: Step, name: str, object_id: str, user: User) -> None:
    """From now on the object id means this user, and so does the name, if it is another one of it (A40)."""
    tenant, key = step.account.tenant, name_key(user.user)
    if step.account.pseudonym_key is not None and is_pseudonym(user.user):
        for erased in (name, object_id):
            step.state.aliases[(tenant, erased_alias(step.account.pseudonym_key, erased))] = Alias(key)
        return
    step.state.aliases[(tenant, object_alias(object_id))] = Alias(key)
    if name_key(name) != key:
        step.state.aliases[(tenant, name_alias(name))] = Alias(key)


def assign(step: Step, command: LicenseAssigned) -> None:
    """A licence is held from an instant on."""
    since, code = _since(command), code_of(command.sku)
    until = as_utc(command.effective_to) if command.effective_to else None
    before, after = changed_user(step, command)
    store_user(step.state, step.account.tenant, before, after)
    step.emit(
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


def remove(step: Step, command: LicenseRemoved) -> None:
    """A licence is held no longer."""
    before, after = changed_user(step, command)
    if before is not None:
        store_user(step.state, step.account.tenant, before, after)
    step.emit(EventKind.LICENSE_REMOVED, user=after.user, sku=code_of(command.sku), command_id=command.id)


def activate(step: Step, command: DeckActivated) -> None:
    """Calls are priced with this deck from an instant on."""
    since = as_utc(command.effective_from) if command.effective_from else None
    step.account.decks = with_activation(step.account.decks, since, command.version)
    step.emit(EventKind.DECK_ACTIVATED, command_id=command.id, reason=command.version)


def accept(step: Step, command: CallAccepted) -> None:
    """Let a held record through: it is rated when it comes again (A44)."""
    held = _held_by(step, command.letter)
    assert held is not None, command.letter
    step.state.seen_now[accepted_key(step.account.tenant, held)] = Seen(step.at, command.letter)
    step.emit(EventKind.CALL_ACCEPTED, command_id=command.id, reason=command.by)


def _held_by(step: Step, letter: str) -> str | None:
    """Which call a dead letter holds; see call_and_content."""
    seen = step.state.seen(letter_key(step.account.tenant, letter))
    return seen.said if seen is not None else None


def no_held_record(step: Step, letter: str) -> Refusal | None:
    """Why nobody can accept this dead letter."""
    if _held_by(step, letter) is not None:
        return None
    message = f"expected the id of a held record's dead letter (implausible_duration), got {letter!r}"
    return Refusal(Reason.UNKNOWN_LETTER, "letter", message)


def _by_since(dated: tuple[object, object]) -> str:
    """Sort key of (instant or None, value): None first; stable, so that the later of equals wins."""
    return dated[0].isoformat() if dated[0] else ""  # type: ignore[attr-defined]  # a datetime in UTC


def unreadable_tenant(command: TenantConfigured) -> Refusal | None:
    """Why the command is invalid for every tenant."""
    terms = command.recharge or RechargeSettings()
    return (
        no_country(command.country)
        or _no_domain(command.domains or ())
        or bad_amount("recharge.trigger", terms.trigger, zero=True)
        or bad_amount("recharge.amount", terms.amount, zero=True)
        or next(
            filter(None, (bad_amount("balance_alerts", amount) for amount in command.balance_alerts or ())), None
        )
    )


def unreadable_user(command: UserConfigured) -> Refusal | None:
    """Why the command is invalid for every user."""
    return (
        blank("user", command.user)
        or no_country(command.country)
        or _no_policy(command.outbound_policy)
        or blank("object_id", command.object_id)
    )


def blank(field: str, text: str | None) -> Refusal | None:
    """Refuse a name that is empty but for blanks: it counts as absent (A40)."""
    if text is None or name_key(text):
        return None
    return Refusal(Reason.MALFORMED, field, f"expected a value, got only blanks: {text!r}")


def no_country(code: str | None) -> Refusal | None:
    """Reject codes outside ISO 3166-1: UK's users would have no domestic calls and no minutes."""
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


def too_many_counts(account: Account, licenses: int | None) -> Refusal | None:
    """Why a tenant cannot have one more dated count of conferencing licences."""
    if licenses is None:
        return None
    return too_many_dates("audio_conferencing_licenses", account.conferencing_licenses)


def no_such_deck(step: Step, version: str, field: str = "version") -> Refusal | None:
    """A deck must be published; one tenant's must be in its currency, everybody's is for tenants of its own."""
    account, tariff = step.account, step.rules.tariffs.get(version)
    if tariff is None:
        return Refusal(Reason.UNKNOWN_DECK, field, f"expected a published deck, got {version!r}")
    if account.tenant == NO_TENANT or tariff.currency == account.currency:
        return None
    expected = f"expected a deck in the tenant's currency {account.currency}"
    message = f"{expected}, got deck {version!r} in {tariff.currency}"
    return Refusal(Reason.CURRENCY_MISMATCH, field, message)
