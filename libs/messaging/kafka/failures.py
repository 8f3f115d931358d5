"""Which of a client's errors mean that the broker is away for now, and which that it said no."""

from aiokafka import errors

REFUSED = (
    errors.TopicAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
    errors.SaslAuthenticationFailed,
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.UnsupportedSaslMechanismError,
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidTopicError,
)
"""Trying again won't help: these go up to whoever runs the service."""


def is_away(error: BaseException) -> bool:
    """Whether to wait and try again."""
    if isinstance(error, REFUSED):
        return False
    return isinstance(error, errors.KafkaError | OSError | TimeoutError)
