"""Why a call may start or not: the closed list of answers to a switch.

Each member's comment is a sentence that a support engineer could read aloud.
"""

from rater.core.reasons import ClosedList


class Why(ClosedList):
    """The reason of an answer; the first group allows, the second refuses, the third cannot tell yet."""

    EMERGENCY = "emergency"  # calls for help are always allowed (rule 23)
    FREE = "free"  # within the service, or over the customer's own trunks: nobody pays (rules 15, 38)
    INCLUDED = "included"  # the licence includes it without counting minutes (rules 16, 25, 32, 35)
    NOT_PRICED = "not_priced"  # no row of the rate deck prices it, so nobody pays (rule 48)
    POOL = "pool"  # bundled minutes carry it
    CREDIT = "credit"  # the tenant's credit carries it
    POOL_THEN_CREDIT = "pool_then_credit"  # bundled minutes first, then the tenant's credit (rule 51)

    UNKNOWN_TENANT = "unknown_tenant"  # nobody configured this tenant yet
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
    CREDIT_RESERVED = "credit_reserved"  # calls that run now may use up all of the credit

    NOT_READY = "not_ready"  # this process has not read enough yet; ask again, or another one


#: Answers that allow.
ALLOWS = frozenset(
    {Why.EMERGENCY, Why.FREE, Why.INCLUDED, Why.NOT_PRICED, Why.POOL, Why.CREDIT, Why.POOL_THEN_CREDIT}
)
