"""Standard Webhooks: the headers that say who sent a body and when, and the key that both sides hold.

The signature is HMAC-SHA256 over `id.timestamp.body` (standardwebhooks.com).
"""

import binascii
from datetime import datetime

from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from rater.wire.errors import RaterError

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
#: The specification asks for keys of 24 to 64 bytes; what is shorter can be guessed.
KEY_BYTES_MIN = 24


def signer_of(secret: str, purpose: str) -> Webhook:
    """The key that a secret (`whsec_` and base64) stands for; RaterError if it is invalid."""
    try:
        signer = Webhook(secret)
    except (binascii.Error, ValueError, EmptyWebhookSecretError):
        signer = None
    if signer is None or len(signer._whsecret) < KEY_BYTES_MIN:
        raise RaterError(
            f"{purpose}: expected whsec_ followed by base64 of at least {KEY_BYTES_MIN} random bytes;"
            f" make one with: echo whsec_$(openssl rand -base64 32)"
        )
    return signer


def signed_headers(signer: Webhook, id: str, body: bytes, at: datetime) -> dict[str, str]:
    """The headers of a webhook; `id` stays the same when it is sent again, `at` (UTC) is the time of sending."""
    return {
        "content-type": "application/json",
        ID_HEADER: id,
        TIMESTAMP_HEADER: str(int(at.timestamp())),
        SIGNATURE_HEADER: signer.sign(id, at, body.decode()),
    }
