"""Closed lists: what a call is, where its minutes went, what happened, why something was refused.

Each member's comment is a sentence that a support engineer could read aloud.
"""

from enum import StrEnum

import msgspec


class ClosedList(StrEnum):
    """An enumeration of strings that hashes as fast as a string does (Enum's own hash is a Python function)."""

    __hash__ = str.__hash__


class CallType(ClosedList):
    """Call types of the usage export; `pstn_in` and `pstn_out` are the legacy names."""

    USER_IN = "user_in"
    USER_OUT = "user_out"
    USER_OUT_CONF = "user_out_conf"
    USER_OUT_TRANSFER = "user_out_transfer"
    USER_OUT_FORWARDING = "user_out_forwarding"
    CONF_IN = "conf_in"
    CONF_OUT = "conf_out"
    UCAP_IN = "ucap_in"
    UCAP_OUT = "ucap_out"
    PSTN_IN = "pstn_in"
    PSTN_OUT = "pstn_out"
    INTERNAL = "internal"  # between two users of the service; never touches the telephone network (rule 15)
    DR_IN = "dr_in"
    DR_OUT = "dr_out"
    DR_OUT_USER_CONF = "dr_out_user_conf"
    DR_OUT_USER_FORWARDING = "dr_out_user_forwarding"
    DR_OUT_USER_TRANSFER = "dr_out_user_transfer"
    DR_EMERGENCY_OUT = "dr_emergency_out"
    DR_IN_UCAP = "dr_in_ucap"
    DR_OUT_UCAP = "dr_out_ucap"
    # Of unassigned numbers, of bots, and of other operators (Operator Connect; fmc: its mobile numbers): kept
    # and free as direct routing is (rule 38).  Seen in exports: dr_in_bot, dr_out_bot, (dr_)unassigned_in,
    # oc_user_in, oc_user_out, some oc_fmc_*, and Graph's Byot*.  The other oc_* and oc_fmc_* names are formed
    # like these and have no source.
    DR_IN_BOT = "dr_in_bot"
    DR_OUT_BOT = "dr_out_bot"
    DR_UNASSIGNED_IN = "dr_unassigned_in"
    UNASSIGNED_IN = "unassigned_in"
    OC_USER_IN = "oc_user_in"
    OC_USER_OUT = "oc_user_out"
    OC_USER_OUT_CONF = "oc_user_out_conf"
    OC_USER_OUT_TRANSFER = "oc_user_out_transfer"
    OC_USER_OUT_FORWARDING = "oc_user_out_forwarding"
    OC_CONF_IN = "oc_conf_in"
    OC_CONF_OUT = "oc_conf_out"
    OC_UCAP_IN = "oc_ucap_in"
    OC_UCAP_OUT = "oc_ucap_out"
    OC_IN = "oc_in"
    OC_OUT = "oc_out"
    OC_EMERGENCY_OUT = "oc_emergency_out"
    OC_UNASSIGNED_IN = "oc_unassigned_in"
    OC_FMC_USER_IN = "oc_fmc_user_in"
    OC_FMC_USER_OUT = "oc_fmc_user_out"
    OC_FMC_USER_OUT_CONF = "oc_fmc_user_out_conf"
    OC_FMC_USER_OUT_TRANSFER = "oc_fmc_user_out_transfer"
    OC_FMC_USER_OUT_FORWARDING = "oc_fmc_user_out_forwarding"
    OC_FMC_CONF_IN = "oc_fmc_conf_in"
    OC_FMC_CONF_OUT = "oc_fmc_conf_out"
    OC_FMC_UCAP_IN = "oc_fmc_ucap_in"
    OC_FMC_UCAP_OUT = "oc_fmc_ucap_out"
    OC_FMC_IN = "oc_fmc_in"
    OC_FMC_OUT = "oc_fmc_out"
    OC_FMC_EMERGENCY_OUT = "oc_fmc_emergency_out"
    OC_FMC_UNASSIGNED_IN = "oc_fmc_unassigned_in"
    BYOT_IN = "byotin"  # Graph: "bring your own trunk", direct routing
    BYOT_OUT = "byotout"


class NumberType(ClosedList):
    """What kind of service number was called (inbound)."""

    TOLL = "toll"
    TOLL_FREE = "toll_free"


class Pocket(ClosedList):
    """Where the minutes of a segment were taken from."""

    POOL = "pool"  # the bundled minutes of a plan
    CREDIT = "credit"  # the tenant's prepaid balance
    INCLUDED = "included"  # the plan includes the call without counting minutes
    FREE = "free"  # nobody pays: emergency, internal, direct routing, or it could not be priced
    UNFUNDED = "unfunded"  # priced, but nobody had the right to spend credits on it


class Outcome(ClosedList):
    """The outcome of a record of a call or of a command."""

    RATED = "rated"
    CORRECTED = "corrected"  # a higher version, or a new rating, replaced the one before
    DUPLICATE = "duplicate"  # the record had been rated already; nothing changed
    CONFLICTING_DUPLICATE = "conflicting_duplicate"  # the same id and version with other content
    REJECTED = "rejected"


class DebitKind(ClosedList):
    """Why money left (or, negative, came back to) the balance."""

    CALL = "call"
    REVERSAL = "reversal"
    EXPIRY = "expiry"
    ADJUSTMENT = "adjustment"  # a person took money off by hand (A45)
    REFUND = "refund"  # money of a purchase was paid out (A45)
    CHARGE_BACK = "charge_back"  # the bank took a payment back (A45)
    PAY_OUT = "pay_out"  # the tenant was closed, and what was left was paid out
    FORFEIT = "forfeit"  # the tenant was closed, and what was left was forfeited


class LotKind(ClosedList):
    """Where the money of a lot came from."""

    PURCHASE = "purchase"
    RECHARGE = "recharge"
    ADJUSTMENT = "adjustment"  # a person added it by hand (A45)
    PROMOTION = "promotion"  # nobody paid for it; it is used before all other money (A46)
    CORRECTION = "correction"  # a correction gave it back when no lot lived (A27)


class EventKind(ClosedList):
    """What happened to a tenant; in the order in which one step emits them."""

    CDR_QUARANTINED = "cdr.quarantined"
    RATING_EXCEPTION = "rating.exception"
    POOL_WARNING = "pool.warning"
    POOL_EXHAUSTED = "pool.exhausted"
    USER_RESTRICTED = "user.restricted"
    USER_UNRESTRICTED = "user.unrestricted"
    FUNDS_EXPIRED = "funds.expired"
    FUNDS_ADJUSTED = "funds.adjusted"
    FUNDS_REFUNDED = "funds.refunded"
    PAYMENT_REVERSED = "payment.reversed"
    PAYMENT_CONFLICT = (
        "payment.conflict"  # the gateway gave two different results for one payment; a person decides (A47)
    )
    TENANT_CLOSED = "tenant.closed"
    TENANT_REOPENED = "tenant.reopened"
    FUNDS_PAID_OUT = "funds.paid_out"
    FUNDS_FORFEITED = "funds.forfeited"
    BALANCE_DEPLETED = "balance.depleted"
    CREDITS_SUSPENDED = "credits.suspended"
    CREDITS_RESUMED = "credits.resumed"
    RECHARGE_SUCCEEDED = "recharge.succeeded"
    RECHARGE_FAILED = "recharge.failed"
    RECHARGE_SUPPRESSED = "recharge.suppressed"
    RECHARGE_REQUESTED = "recharge.requested"
    CLOSED_BALANCE = "closed.balance"  # money of a closed tenant moved: it owes, or there is money to pay out
    BALANCE_ALERT = "balance.alert"  # the balance fell below an amount of the tenant's choice
    BRAKE_REACHED = "brake.reached"  # a limit on spending was reached (A50)
    BRAKE_RELEASED = "brake.released"  # a person, or a correction, ended it before its window did
    TENANT_CONFIGURED = "tenant.configured"
    USER_CONFIGURED = "user.configured"
    LICENSE_ASSIGNED = "license.assigned"
    LICENSE_REMOVED = "license.removed"
    USER_ERASED = "user.erased"  # from then on the user is known under a pseudonym only
    FUNDS_ADDED = "funds.added"
    DECK_ACTIVATED = "deck.activated"
    BRAKE_CONFIGURED = "brake.configured"
    CALL_ACCEPTED = "call.accepted"  # a person let a held record through; it is rated when it comes again
    FUNDS_EXPIRING = "funds.expiring"  # emitted by the agents, from balances; by no step


class Reason(ClosedList):
    """Why a record or a command was refused.  A refusal changes nothing and loses nothing."""

    MALFORMED = "malformed"  # not a record of this contract: wrong type, missing field, no such country, not JSON
    NOT_A_CALL_RECORD = (
        "not_a_call_record"  # a command among call records: only the inputs for commands accept it (A48)
    )
    DUPLICATE_KEY = "duplicate_key"  # a JSON object says the same field twice
    TOO_LARGE = "too_large"  # the record is larger than any real one
    UNKNOWN_TENANT = "unknown_tenant"  # this tenant is not configured yet
    UNKNOWN_ACCOUNT = (
        "unknown_account"  # a table of the mapping lacks the account, trunk or number that the switch wrote
    )
    CONFLICTING_DUPLICATE = "conflicting_duplicate"  # this id was used before with other content: a call, or money
    NEGATIVE_DURATION = "negative_duration"  # a call cannot last less than nothing
    IMPOSSIBLE_DURATION = "impossible_duration"  # longer than the time between its start and its end
    ENDS_BEFORE_START = "ends_before_start"  # the end lies before the start
    NOT_E164 = "not_e164"  # a number that is not +, country code and digits
    CURRENCY_MISMATCH = "currency_mismatch"  # the tenant's ledger is in another currency
    NO_USER = "no_user"  # a call of this type needs the user who pays for it
    IMPOSSIBLE_TIME = (
        "impossible_time"  # a year without such calls, or further ahead of the arrival than clocks differ
    )
    IMPLAUSIBLE_DURATION = (
        "implausible_duration"  # longer than calls of this tenant last; held until a person accepts it
    )
    UNKNOWN_LETTER = "unknown_letter"  # no held record has this dead letter
    UNKNOWN_CALL = "unknown_call"  # no call of this usage id was rated, so that none can be rated again
    CALL_CHANGED = "call_changed"  # the call was corrected, or rated again, since it was looked at
    TIME_WITHOUT_ZONE = "time_without_zone"  # the month of a local time is not known
    BAD_AMOUNT = "bad_amount"  # negative, zero, too large, or more than six decimals
    TOO_MANY = "too_many"  # one more of something of which a record keeps only so many; the message names the limit
    INVALID_AMOUNT = "invalid_amount"  # zero, or below zero where only a sum that is paid out makes sense (A45)
    UNKNOWN_LOT = "unknown_lot"  # no lot of this name (A45)
    NOT_A_PAYMENT = "not_a_payment"  # only what somebody paid for can be paid back (A45)
    REFUND_EXCEEDS_LOT = "refund_exceeds_lot"  # less is left of the purchase than is to be paid out (A45)
    ALREADY_REVERSED = "already_reversed"  # the bank took this payment back before (A45)
    TENANT_CLOSED = "tenant_closed"  # the tenant is closed: reopen it first
    NO_SUCH_BRAKE = "no_such_brake"  # no brake of this name is reached, so that nothing can be released (A50)
    NOT_CLOSED = "not_closed"  # only a closed tenant can be reopened
    NOT_CONFIGURED = "not_configured"  # the tenant's first command must say its currency
    NO_RECHARGE_IN_FLIGHT = "no_recharge_in_flight"  # a payment that answers no request of ours
    PAYMENT_MISMATCH = "payment_mismatch"  # the payment's amount is not the one that was asked for
    UNKNOWN_DECK = "unknown_deck"  # no deck of this version was published
    SKIPPED = "skipped"  # applying it raised an error of the rater; an operator decided to go on without it
    WRONG_PARTITION = "wrong_partition"  # published with another partitioner than the tenant's other records


class Anomaly(ClosedList):
    """What a person should look at, although the call was rated."""

    UNKNOWN_USER = "unknown_user"  # no licence was ever assigned to this user
    UNKNOWN_SKU = "unknown_sku"  # the user holds a licence that the catalogue does not know
    POLICY = "policy"  # the user's outbound policy does not allow this call (rule 24)
    TOLL_FREE_EXCLUDED = "toll_free_excluded"  # callers cannot join this organizer by toll-free (rule 43b)
    NO_RATE = "no_rate"  # no row of the deck matches the number (rule 48)
    PREMIUM_WITHOUT_RATE = "premium_without_rate"  # a premium number that only an ordinary row matches
    UNSUPPORTED_NUMBER = "unsupported_number"  # a number that should not have connected (rule 22)
    NEEDS_PAY_AS_YOU_GO = "needs_pay_as_you_go"  # a queue's outbound call without the plan for it (rule 36)
    TENANT_CLOSED = "tenant_closed"  # the tenant was closed when the call was answered: nothing covers it


class Refusal(msgspec.Struct, frozen=True):
    """Why a record is refused: the reason, the field, and one sentence with what was expected."""

    reason: Reason
    field: str
    message: str


class Why(ClosedList):
    """The reason of an answer; the first group allows, the second refuses, the third has no answer yet."""

    EMERGENCY = "emergency"  # calls for help are always allowed (rule 23)
    FREE = "free"  # within the service, or over the customer's own trunks: nobody pays (rules 15, 38)
    INCLUDED = "included"  # the licence includes it without counting minutes (rules 16, 25, 32, 35)
    NOT_PRICED = "not_priced"  # no row of the rate deck prices it, so nobody pays (rule 48)
    POOL = "pool"  # bundled minutes cover it
    CREDIT = "credit"  # the tenant's credit covers it
    POOL_THEN_CREDIT = "pool_then_credit"  # bundled minutes first, then the tenant's credit (rule 51)

    UNKNOWN_TENANT = "unknown_tenant"  # this tenant is not configured yet
    TENANT_CLOSED = "tenant_closed"  # the tenant is closed: only calls for help are allowed
    UNKNOWN_USER = "unknown_user"  # no licence was ever assigned to this user
    USER_RESTRICTED = "user_restricted"  # the user's minutes are out, until next month or a licence (rules 50, 53)
    POLICY = "policy"  # the user's outbound policy does not allow this destination (rule 24)
    TOLL_FREE_EXCLUDED = "toll_free_excluded"  # nobody joins this organizer's meetings by toll-free (rule 43b)
    UNSUPPORTED_NUMBER = "unsupported_number"  # a number that cannot be reached from here (rule 22)
    NEEDS_PAY_AS_YOU_GO = "needs_pay_as_you_go"  # a queue's outbound call without the plan for it (rule 36)
    NO_CREDITS_LICENSE = "no_credits_license"  # no minutes left, and the user has no licence for credits (rule 50)
    CREDITS_NOT_SET_UP = "credits_not_set_up"  # no minutes left, and the tenant never set up credits (rule 50)
    CREDITS_SUSPENDED = "credits_suspended"  # no minutes left, and the balance is not above zero (rules 50, 54, A5)
    CREDIT_TOO_LOW = "credit_too_low"  # what is left of the credit does not pay for the first increment
    BRAKE_REACHED = "brake_reached"  # what brakes still allow does not pay for the first increment (A50)
    CALLS_AT_ONCE = "calls_at_once"  # as many calls run as a brake allows (A50)
    CREDIT_RESERVED = "credit_reserved"  # calls that run now may use up all of the credit

    NOT_READY = "not_ready"  # this process has not read enough yet; ask again, or another one


#: Answers that allow.
ALLOWS = frozenset(
    {Why.EMERGENCY, Why.FREE, Why.INCLUDED, Why.NOT_PRICED, Why.POOL, Why.CREDIT, Why.POOL_THEN_CREDIT}
)
