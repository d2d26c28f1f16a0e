"""The message when the cluster refuses a client: who, which right, on what.

The command line adds which rights would do.
"""

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from rater.kafka.settings import KafkaSettings
from rater.wire.errors import Exit, RaterError

#: Kafka's code for "you may not see this topic".
TOPIC_DENIED = TopicAuthorizationFailedError.errno


class DeniedError(RaterError):
    """The user lacks a right."""

    def __init__(self, settings: KafkaSettings, lacks: str) -> None:
        super().__init__(f"{user_of(settings)} has no right to {lacks}", Exit.DENIED)


def user_of(settings: KafkaSettings) -> str:
    """The user that the cluster knows this client by, as far as it can be said."""
    if settings.username is not None:
        return f"Kafka user {settings.username}"
    if settings.certificate_file is not None:
        return f"the Kafka user of certificate {settings.certificate_file}"
    return "a Kafka client without user"


def refusal(settings: KafkaSettings, right: str, wrong: KafkaError, *, began: bool = False) -> RaterError:
    """The error that a person reads; `right` is what the client was about to use, or uses, if it `began`."""
    known = (
        "how much was stored is not known; run the same command again: what is stored already changes nothing"
        if began
        else "nothing was changed"
    )
    match wrong:
        case TopicAuthorizationFailedError():
            return DeniedError(settings, f"{right} topic {_names(wrong)}")
        case GroupAuthorizationFailedError():
            return DeniedError(settings, f"Read group {_names(wrong)}")
        case TransactionalIdAuthorizationFailed():
            return DeniedError(settings, f"Write transactional id {_names(wrong)}")
        case ClusterAuthorizationFailedError():
            return DeniedError(settings, f"{right} any topic")
        case (
            RequestTimedOutError()
            | KafkaTimeoutError()
            | KafkaConnectionError()
            | NodeNotReadyError()
            | CoordinatorNotAvailableError()
        ):
            return RaterError(
                f"Kafka at {settings.bootstrap} does not answer ({type(wrong).__name__}); {known}",
                Exit.UNREACHABLE,
            )
        case _:
            return RaterError(f"Kafka at {settings.bootstrap} refused: {wrong}")


def denied(wrong: BaseException) -> bool:
    """Whether an error of the client library says that a right is missing."""
    return isinstance(
        wrong,
        TopicAuthorizationFailedError
        | GroupAuthorizationFailedError
        | TransactionalIdAuthorizationFailed
        | ClusterAuthorizationFailedError,
    )


def _names(wrong: KafkaError) -> str:
    """The library gives a name, several, or none."""
    given = wrong.args[0] if wrong.args else "?"
    return given if isinstance(given, str) else ", ".join(sorted(given))
