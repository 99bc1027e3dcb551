"""The error codes are numbers that other people's clients compare with; the exceptions are words for users."""

import pytest

from zoopark import errors

CODES = {
    "OK": 0,
    "SYSTEM_ERROR": -1,
    "RUNTIME_INCONSISTENCY": -2,
    "MARSHALLING_ERROR": -5,
    "UNIMPLEMENTED": -6,
    "BAD_ARGUMENTS": -8,
    "NO_NODE": -101,
    "NO_AUTH": -102,
    "BAD_VERSION": -103,
    "NO_CHILDREN_FOR_EPHEMERALS": -108,
    "NODE_EXISTS": -110,
    "NOT_EMPTY": -111,
    "SESSION_EXPIRED": -112,
    "INVALID_ACL": -114,
    "AUTH_FAILED": -115,
    "SESSION_MOVED": -118,
    "NOT_READ_ONLY": -119,
    "EPHEMERAL_ON_LOCAL_SESSION": -120,
    "NO_WATCHER": -121,
    "RECONFIG_DISABLED": -123,
    "SESSION_CLOSED_REQUIRE_AUTH": -124,
    "QUOTA_EXCEEDED": -125,
    "THROTTLED_OP": -127,
}


def test_every_code_is_that_of_the_protocol() -> None:
    """A code that is added must be added here, from the protocol's own table."""
    defined = {name: value for name, value in vars(errors).items() if isinstance(value, int)}
    assert defined == CODES


@pytest.mark.parametrize(
    ("error", "parent"),
    [
        (errors.ConfigError, errors.ZooparkError),
        (errors.StorageError, errors.ZooparkError),
        (errors.CorruptLog, errors.StorageError),
        (errors.CorruptSnapshot, errors.StorageError),
        (errors.Malformed, errors.ZooparkError),
    ],
)
def test_who_catches_what(error: type[Exception], parent: type[Exception]) -> None:
    """The server's start catches StorageError, and a user of the package ZooparkError."""
    assert issubclass(error, parent)
