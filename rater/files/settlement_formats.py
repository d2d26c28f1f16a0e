"""The columns and words of settlement files as gateways write them, so that a file says by itself how it is read.

Stripe: itemized balance change and payout reconciliation, and the dashboard's list of balance transactions.  Adyen:
settlement details.  PayPal: settlement report (STL, amounts in the smallest unit) and activity download.
"""

import re

import msgspec

from rater.files.settlement_lines import Kind


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of file is read.  A file has it where all columns of `marks` are there.

    An amount is one column with a sign (`amount`), or one without and a column that says CR or DR (`sign`), or two
    (`credit`, `debit`).  `at` are parts that are joined by a blank.  `minor` says that amounts are in the smallest
    unit of the currency; `section` is the first cell of the rows with data, where others stand between.
    """

    name: str
    marks: tuple[str, ...]
    reference: tuple[str, ...]
    type: str | None
    currency: str
    at: tuple[str, ...]
    amount: str | None = None
    credit: str | None = None
    debit: str | None = None
    sign: str | None = None
    zone: str | None = None
    tenant: tuple[str, ...] = ("tenant", "metadata[tenant]", "payment_metadata[tenant]", "tenant (metadata)")
    minor: bool = False
    section: tuple[str, str] | None = None


#: What merchants call our id in the data that they attach to a payment.
_METADATA = ("recharge_id", "recharge", "lot", "reference", "rater_id", "order_id", "invoice")
_STRIPE_REFERENCES = (
    *(f"payment_metadata[{name}]" for name in _METADATA),
    *(f"metadata[{name}]" for name in _METADATA),
    *(f"{name} (metadata)" for name in _METADATA),
    "payment_intent_id",
    "charge_id",
    "source_id",
    "Source",
)
FORMATS = (
    Format(
        name="Stripe itemized balance or payout reconciliation",
        marks=("balance_transaction_id", "gross", "reporting_category", "currency"),
        reference=_STRIPE_REFERENCES,
        type="reporting_category",
        currency="currency",
        at=("created_utc|created",),
        amount="gross",
    ),
    Format(
        name="Stripe balance transactions",
        marks=("id", "Type", "Source", "Amount", "Currency", "Created (UTC)"),
        reference=_STRIPE_REFERENCES,
        type="Type",
        currency="Currency",
        at=("Created (UTC)",),
        amount="Amount",
    ),
    Format(
        name="Adyen settlement details",
        marks=("Psp Reference", "Merchant Reference", "Type", "Gross Currency"),
        reference=("Merchant Reference", "Psp Reference", "Modification Reference"),
        type="Type",
        currency="Gross Currency",
        at=("Creation Date",),
        credit="Gross Credit (GC)",
        debit="Gross Debit (GC)",
        zone="TimeZone",
    ),
    Format(
        name="PayPal settlement report",
        marks=("Transaction Event Code", "Transaction Debit or Credit", "Gross Transaction Amount"),
        reference=("Invoice ID", "Custom Field", "PayPal Reference ID", "Transaction ID"),
        type="Transaction Event Code",
        currency="Gross Transaction Currency",
        at=("Transaction Completion Date|Transaction Initiation Date",),
        amount="Gross Transaction Amount",
        sign="Transaction Debit or Credit",
        minor=True,
        section=("CH", "SB"),
    ),
    Format(
        name="PayPal activity",
        marks=("Date", "Time", "Type", "Currency", "Gross", "Transaction ID"),
        reference=("Invoice Number", "Custom Number", "Reference Txn ID", "Transaction ID"),
        type="Type",
        currency="Currency",
        at=("Date", "Time"),
        amount="Gross",
        zone="TimeZone|Time Zone",
    ),
)
#: Names that columns of other files have, for each thing that is needed; the first that is there is read.
NAMES = {
    "amount": ("amount", "gross", "gross amount", "betrag", "montant", "importe"),
    "reference": ("reference", "merchant reference", "recharge_id", "lot", "order id", "order_id", "invoice", "id"),
    "type": ("type", "transaction type", "kind", "category", "event", "art"),
    "currency": ("currency", "gross currency", "währung", "devise", "moneda"),
    "tenant": ("tenant", "customer", "account"),
    "at": ("at", "created", "date", "created_at", "timestamp", "booking date", "datum", "transaction date"),
}
#: What gateways call the kinds, without regard to case; T-codes are PayPal's.
_PAYMENTS = (
    "payment",
    "charge",
    "settled",
    "capture",
    "captured",
    "sale",
    "purchase",
    "recharge",
    "collected",
    "payment_succeeded",
    "settlement",
    "zahlung",
    "express checkout payment",
    "website payment",
    "mobile payment",
    "general payment",
    "preapproved payment bill user payment",
    "subscription payment",
)
_REFUNDS = ("refund", "refunded", "payment refund", "payment_refund", "t1107", "erstattung")
_CHARGE_BACKS = (
    "chargeback",
    "charge_back",
    "charge-back",
    "charge back",
    "dispute",
    "secondchargeback",
    "payment reversal",
    "t1106",
    "t1201",
    "rückbuchung",
)
_WON = (
    "chargebackreversed",
    "chargeback_reversed",
    "charge_back_won",
    "chargeback reversal",
    "dispute_reversal",
    "t1202",
)
WORDS: dict[str, Kind] = {
    **dict.fromkeys(_PAYMENTS, Kind.PAYMENT),
    **dict.fromkeys(_REFUNDS, Kind.REFUND),
    **dict.fromkeys(_CHARGE_BACKS, Kind.CHARGE_BACK),
    **dict.fromkeys(_WON, Kind.CHARGE_BACK_WON),
}
#: What is no money of a customer: fees, payouts, transfers of the merchant's own money.
_OTHERS = re.compile(
    r".*(fee|payout|withdrawal|transfer|cost|invoice ?deduction|deposit ?correction|reserve|topup|tax|conversion).*"
    r"|t0[1-4]\d\d|t09\d\d|t1108"
)
_PAYPAL_PAYMENT = re.compile(r"t00\d\d")


def kind_of(word: str) -> Kind | str | None:
    """What a type of a file means: a kind, None for what is not compared, and the word itself if it is unknown."""
    folded = word.strip().casefold()
    if folded in WORDS:
        return WORDS[folded]
    if _PAYPAL_PAYMENT.fullmatch(folded):
        return Kind.PAYMENT
    return None if _OTHERS.fullmatch(folded) else word
